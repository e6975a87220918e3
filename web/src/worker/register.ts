/** Starts the service worker where the page is a built one and the browser allows it (https or this machine). */

interface Policy {
  createScriptURL(address: string): string;
}
interface Factory {
  createPolicy(name: string, rules: Policy): Policy;
}

/** Under Trusted Types a worker starts only from an address that a policy of ours has made. */
function trusted(address: string): string {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  return (
    factory
      ?.createPolicy('tramontane-shell', { createScriptURL: (given) => given })
      .createScriptURL(address) ?? address
  );
}

export function startWorker(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const start = () =>
    navigator.serviceWorker.register(trusted('/sw.js')).catch(() => {
      // A browser that keeps no workers shows the same pages, without the offline one.
    });
  // Never in the way of the first screen.
  if (document.readyState === 'complete') void start();
  else addEventListener('load', () => void start());
}
