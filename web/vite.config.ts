/// <reference types="vitest/config" />
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const BUILT = '../src/tramontane/entrypoints/web/built';
const BOOT = 'src/theme/boot.js';

/**
 * Puts the tiny classic script that sets theme and language before the first paint into the page's head, as a hashed
 * file: the policy of the page forbids inline scripts, and a module would run after the paint.
 */
function bootScript(): Plugin {
  let building = false;
  let name = `/${BOOT}`;
  return {
    name: 'boot-script',
    configResolved(config) {
      building = config.command === 'build';
    },
    buildStart() {
      if (!building) return;
      const source = readFileSync(BOOT, 'utf8').replace(/\/\*[\s\S]*?\*\/\s*/g, '');
      const hash = createHash('sha256').update(source).digest('base64url').slice(0, 8);
      name = `/assets/boot-${hash}.js`;
      this.emitFile({ type: 'asset', fileName: name.slice(1), source });
    },
    transformIndexHtml: {
      order: 'post',
      handler: (html) => html.replace('<!-- boot -->', `<script src="${name}"></script>`),
    },
  };
}

export default defineConfig({
  plugins: [svelte(), bootScript()],
  build: {
    outDir: BUILT,
    emptyOutDir: true,
    target: 'es2022',
    manifest: true,
    sourcemap: false,
    // Inlined files would need data: in more of the page's policy than images.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(
      ['/web', '/v1', '/openai', '/sandbox'].map((path) => [
        path,
        process.env.TRAMONTANE_URL ?? 'http://127.0.0.1:8400',
      ]),
    ),
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts', 'scripts/**/*.test.js'],
    // Svelte's server build would be taken otherwise, and it has no runes that react.
    alias: [],
  },
  resolve: process.env.VITEST ? { conditions: ['browser'] } : undefined,
});
