/**
 * Where the person is: the path of the address bar as state, links without page loads, and a guard against leaving
 * what is not saved. `match` is the whole pattern language: `/chat/:id`, `/studio/:section?`.
 */

class Place {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  hash = $state(location.hash);
  /** Counts every way of getting here, the one to the same place again included. */
  arrivals = $state(0);
}

export const place = new Place();

export type PathParams = Record<string, string | undefined>;

/** The named parts of `path`, or null where it is no such path. `:name?` may be missing. */
export function match(pattern: string, path: string): PathParams | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  if (given.length > wanted.length) return null;
  const params: PathParams = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index];
    if (part.startsWith(':')) {
      const optional = part.endsWith('?');
      if (value === undefined && !optional) return null;
      params[part.slice(1, optional ? -1 : undefined)] = value === undefined ? undefined : decoded(value);
    } else if (part !== value) return null;
  }
  return params;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): void {
  place.path = location.pathname;
  place.query = new URLSearchParams(location.search);
  place.hash = location.hash;
  place.arrivals += 1;
}

/** What stands after the # of the address; nothing where it cannot be read. */
export function fragment(): string {
  try {
    return decodeURIComponent(place.hash.slice(1));
  } catch {
    return '';
  }
}

export function navigate(to: string, options: { replace?: boolean; keepFocus?: boolean } = {}): void {
  const target = new URL(to, location.href);
  if (target.origin !== location.origin) return;
  const before = location.pathname;
  history[options.replace ? 'replaceState' : 'pushState'](null, '', target);
  read();
  if (before !== target.pathname && !options.keepFocus) focusPage();
}

/** After a change of page the keyboard and the screen reader begin at its top, not in what is gone. */
function focusPage(): void {
  requestAnimationFrame(() => {
    const main = document.getElementById('content');
    if (main && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  });
}

/** The path a click leads to inside the app, or null where the browser should do as always. */
export function inside(event: MouseEvent): string | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || !link.href || link.target || link.hasAttribute('download') || link.rel.includes('external'))
    return null;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin || !APP.test(url.pathname)) return null;
  if (url.pathname === location.pathname && url.search === location.search && url.hash) return null;
  return url.pathname + url.search + url.hash;
}

/** Paths that are pages of this app; everything else (API, its description) is the server's. */
const APP =
  /^\/($|chat(\/|$)|projects(\/|$)|share\/|studio(\/|$)|settings(\/|$)|people$|join$|sign-in$|welcome$)/;

export function startRouter(): void {
  addEventListener('popstate', read);
  addEventListener('hashchange', read);
  document.addEventListener('click', (event) => {
    const to = inside(event);
    if (to === null) return;
    event.preventDefault();
    navigate(to);
  });
}
