/// <reference types="vitest/config" />
import { readdirSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

// Where a build takes shape; scripts/finish.js puts it in its place when it is whole.
const MAKING = 'dist';
const SHELL =
  /node_modules\/(svelte|esm-env|clsx)\/|\/src\/(App|idle|router|api|shell|parts|account\/(SignIn|Join|Doorway|refusal)|i18n\/(index|named|refusals|fr\/typeset)|theme\/)/;
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

/** The licences of the packages that end up in the built files, in one file beside them. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_, bundle) {
      const folders = new Set<string>();
      for (const part of Object.values(bundle)) {
        const ids = part.type === 'chunk' ? part.moduleIds : part.originalFileNames;
        for (const id of ids) {
          const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace(/^\0/, ''));
          if (found) folders.add(found[1]!);
        }
      }
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
        const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
        return `${name} ${version} (${license})\n\n${file ? readFileSync(`${folder}/${file}`, 'utf8').trim() : ''}\n`;
      });
      this.emitFile({
        type: 'asset',
        fileName: 'licences.txt',
        source: texts.join(`\n${'-'.repeat(78)}\n\n`),
      });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), bootScript(), licences()],
  build: {
    outDir: MAKING,
    emptyOutDir: true,
    target: 'es2022',
    manifest: true,
    sourcemap: false,
    // Inlined files would need data: in more of the page's policy than images.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      checks: { pluginTimings: false },
      input: ['index.html', 'offline.html'],
      output: {
        codeSplitting: {
          // One file, and one style sheet, for all that every page stands on: requests cost more than bytes here.
          groups: [{ name: 'app', test: SHELL }],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    // A test reads the catalogue that the server is shipped with.
    fs: { allow: ['.', '../src/tramontane/records/catalog'] },
    proxy: Object.fromEntries(
      ['/web', '/v1', '/openai'].map((path) => [path, process.env.TRAMONTANE_URL ?? 'http://127.0.0.1:8400']),
    ),
  },
  test: {
    environment: 'happy-dom',
    // The colours are read from their file, which is emptied otherwise.
    css: true,
    include: ['src/**/*.test.ts', 'scripts/**/*.test.js'],
  },
  // Svelte's server build would be taken in tests otherwise, and it has no runes that react.
  resolve: process.env.VITEST ? { conditions: ['browser'] } : undefined,
});
