// Makes this program stand still, as one that computes, or that was stopped.

/** Nothing of this thread runs for `ms` milliseconds; the system goes on taking bytes for it. */
export function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
