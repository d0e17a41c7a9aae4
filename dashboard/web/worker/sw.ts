// The service worker: it keeps the page's files, so that the page opens away from home. What the box says and what people
// decide never passes here: nothing old is taken for new, and no decision waits for a connection.

const CACHE = 'page';
const FILES = /^\/(?:assets\/.+|icon[\w-]*\.(?:svg|png)|manifest\.webmanifest)$/;

const worker = self as unknown as ServiceWorkerGlobalScope;

worker.addEventListener('install', (event) => {
  event.waitUntil(fetch('/').then(keepPage));
  void worker.skipWaiting();
});

worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== worker.location.origin) return;
  if (request.mode === 'navigate' && pathname === '/') event.respondWith(page());
  else if (FILES.test(pathname)) event.respondWith(file(request));
});

/** The page as the box has it now, or as it was. */
async function page(): Promise<Response> {
  try {
    const answer = await fetch('/');
    await keepPage(answer.clone());
    return answer;
  } catch (error) {
    const kept = await (await caches.open(CACHE)).match('/');
    if (kept === undefined) throw error;
    return kept;
  }
}

/** A file of the page: its name changes with its content, so what is kept is right. */
async function file(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept !== undefined) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

/** Keeps the page and what it names, and forgets what an earlier one named. */
async function keepPage(answer: Response): Promise<void> {
  if (!answer.ok) return;
  const cache = await caches.open(CACHE);
  const text = await answer.clone().text();
  await cache.put('/', answer);
  const named = new Set([...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].flatMap(([, path]) => path ?? []));
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/' && !named.has(pathname)) await cache.delete(request);
  }
  const missing = [...named].filter((path) => FILES.test(path));
  await Promise.all(missing.map((path) => file(new Request(path))));
}
