// Listens to AbortSignals with one listener each, however many calls share a signal: Node warns
// of a leak beyond ten, and a service hands one signal to all its sends.

const listening = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `callback` once when `signal` fires. Returns what takes it back. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = listening.get(signal);
  if (callbacks === undefined) {
    const fresh = new Set<() => void>();
    const fire = () => {
      listening.delete(signal);
      for (const one of fresh) one();
    };
    signal.addEventListener('abort', fire, { once: true });
    listening.set(signal, fresh);
    callbacks = fresh;
  }
  const added = callbacks;
  const own = () => callback(); // the same callback may come twice
  added.add(own);
  return () => added.delete(own);
}
