/*
 * The service worker. Keeps the shell's files, whose names hold their content, and the page that says one is offline.
 * Never keeps a page, an answer of the API or anything of a person; index.html always comes from the server, so an
 * update is seen at the next load and no stale shell exists.
 */
const SHELL = 'tramontane-__VERSION__';
const FILES = __FILES__;
const OFFLINE = '/offline.html';

/*
 * What is asked of the server goes past this worker, where the browser knows how: a worker that rests would have to wake
 * up first, and a question would leave that much later.
 */
const PAST = ['/v1/*', '/web/*'].map((pathname) => ({
  condition: { urlPattern: { pathname } },
  source: 'network',
}));

addEventListener('install', (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)));
  // It is the same page without, only a little slower.
  event.waitUntil(Promise.resolve(event.addRoutes?.(PAST)).catch(() => {}));
});

addEventListener('activate', (event) => {
  const old = (name) => name.startsWith('tramontane-') && name !== SHELL;
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))),
  );
});

addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET') return;
  if (request.mode === 'navigate') {
    // Frames keep their own policies and failures.
    if (request.destination === 'document')
      event.respondWith(
        fetch(request).catch(() => caches.match(OFFLINE).then((page) => page ?? Response.error())),
      );
    return;
  }
  const url = new URL(request.url);
  if (url.origin !== location.origin || !FILES.includes(url.pathname)) return;
  event.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(request)));
});
