/** Tells when an element comes near the view, once. One observer for all, so that a thousand messages cost little. */

const waiting = new WeakMap<Element, () => void>();
let observer: IntersectionObserver | null = null;

function watched(): IntersectionObserver {
  observer ??= new IntersectionObserver(
    (seen) => {
      for (const one of seen) {
        if (!one.isIntersecting) continue;
        observer?.unobserve(one.target);
        waiting.get(one.target)?.();
        waiting.delete(one.target);
      }
    },
    // The margin of the view alone would not reach into what scrolls inside it.
    { rootMargin: '1200px 0px', scrollMargin: '1200px 0px' } as IntersectionObserverInit,
  );
  return observer;
}

export function whenNear(element: Element, act: () => void): () => void {
  waiting.set(element, act);
  watched().observe(element);
  return () => {
    waiting.delete(element);
    observer?.unobserve(element);
  };
}
