/**
 * The last step of the build: the sandbox's pages, the service worker's list, the licences of what was bundled, the
 * compressed twins of every file, the limit of the first screen, and the move to where the server looks, so that a server
 * running meanwhile sees the old client or the new one and nothing between. Runs after `vite build`.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { closure, firstScreen, LIMIT } from './first-screen.js';

const MAKING = 'dist';
const BUILT = '../src/tramontane/entrypoints/web/built';
const OLD = `${BUILT}.old`;
const COMPRESSIBLE = new Set(['.js', '.css', '.html', '.svg', '.webmanifest', '.txt', '.json']);
const SMALLEST = 512;
const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

function files(folder = '') {
  return readdirSync(join(MAKING, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    return entry.isDirectory() ? files(path) : [path];
  });
}

function copySandbox() {
  if (!existsSync('sandbox')) return;
  mkdirSync(join(MAKING, 'sandbox'), { recursive: true });
  for (const name of readdirSync('sandbox'))
    copyFileSync(join('sandbox', name), join(MAKING, 'sandbox', name));
}

/** The shell: what index.html, the offline page and both languages stand on. Never the lazily loaded rest. */
function writeWorker(manifest) {
  const kept = new Set(['offline.html', 'icons/mark.svg']);
  const entries = [
    'index.html',
    'offline.html',
    'src/chat/index.ts',
    'src/i18n/en/index.ts',
    'src/i18n/fr/index.ts',
  ];
  for (const entry of entries) for (const file of closure(manifest, entry)) kept.add(file);
  for (const file of files('assets')) if (/\/boot-[\w-]+\.js$/.test(file)) kept.add(file);
  const list = [...kept].sort().map((file) => `/${file}`);
  const contents = list.map((file) => readFileSync(join(MAKING, file)));
  const version = createHash('sha256').update(list.join('\n')).update(Buffer.concat(contents)).digest('hex');
  const worker = readFileSync('src/worker/sw.js', 'utf8')
    .replace('__VERSION__', version.slice(0, 12))
    .replace('__FILES__', JSON.stringify(list));
  writeFileSync(join(MAKING, 'sw.js'), worker);
}

async function compress(names) {
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11 };
  const sizes = {};
  for (const name of names) {
    const content = readFileSync(join(MAKING, name));
    sizes[name] = content.length;
    if (!COMPRESSIBLE.has(extname(name)) || content.length < SMALLEST) continue;
    // Level 11 takes ten seconds for the megabytes of a drawing library, and gains little there.
    if (content.length > 1_000_000) params[zlib.constants.BROTLI_PARAM_QUALITY] = 9;
    const [small, smaller] = await Promise.all([gzip(content, { level: 9 }), brotli(content, { params })]);
    params[zlib.constants.BROTLI_PARAM_QUALITY] = 11;
    sizes[name] = small.length;
    writeFileSync(join(MAKING, `${name}.gz`), small);
    writeFileSync(join(MAKING, `${name}.br`), smaller);
  }
  return sizes;
}

const manifest = JSON.parse(readFileSync(join(MAKING, '.vite/manifest.json'), 'utf8'));
rmSync(join(MAKING, '.vite'), { recursive: true });
copySandbox();
writeWorker(manifest);
const sizes = await compress(files());
const { scripts, sheets, scriptBytes, sheetBytes } = firstScreen(manifest, sizes);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
console.log(
  `First screen: ${kilobytes(scriptBytes)} of JavaScript in ${scripts.length} files, ` +
    `${kilobytes(sheetBytes)} of styles in ${sheets.length}, compressed (limit ${kilobytes(LIMIT)} of JavaScript).`,
);
if (scriptBytes > LIMIT) {
  console.error('The first screen has outgrown its limit: load what it does not show at once with import().');
  process.exit(1);
}
rmSync(OLD, { recursive: true, force: true });
if (existsSync(BUILT)) renameSync(BUILT, OLD);
renameSync(MAKING, BUILT);
rmSync(OLD, { recursive: true, force: true });
