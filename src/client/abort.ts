// Listens to AbortSignals with one listener each, however many calls share a signal: Node warns
// of a leak beyond ten, and a service hands one signal to all its sends. A signal that nobody waits
// for any more is left alone, so that it can go.

interface Listening {
  readonly callbacks: Set<() => void>;
  readonly fire: () => void;
}

const listening = new WeakMap<AbortSignal, Listening>();

function listen(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>();
  const fire = () => {
    listening.delete(signal);
    const due = [...callbacks];
    callbacks.clear(); // whoever lives on keeps none of the others
    for (const one of due) one();
  };
  signal.addEventListener('abort', fire, { once: true });
  return { callbacks, fire };
}

/** Calls `callback` once when `signal` fires. Returns what takes it back. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const known = listening.get(signal);
  const one = known ?? listen(signal);
  if (known === undefined) listening.set(signal, one);
  const own = () => callback(); // the same callback may come twice
  one.callbacks.add(own);
  return () => {
    if (!one.callbacks.delete(own) || one.callbacks.size > 0) return;
    signal.removeEventListener('abort', one.fire);
    listening.delete(signal);
  };
}
