// Registers the service worker, where the browser has one and trusts the connection.

const FILE = '/sw.js';
const POLICY = 'edgeward-worker';

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL(url: string): string };
}

export function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  // Under our CSP a script's address must come from a policy; this one knows a single address.
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  const address = types?.createPolicy(POLICY, { createScriptURL: () => FILE }).createScriptURL(FILE) ?? FILE;
  // Refused where the certificate is not trusted yet; the page works without.
  navigator.serviceWorker.register(address).catch(() => undefined);
}
