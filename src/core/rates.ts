// How fast buckets take and lose messages: an average that forgets with time, in columns by
// slot, so that a million buckets cost sixteen bytes each and nothing is swept.

const GROWTH = 1024;
/** What was counted so long ago weighs 1/e. */
const FADE_MS = 5000;

export class BucketRates {
  #published = new Float32Array(GROWTH);
  #settled = new Float32Array(GROWTH);
  #atMs = new Float64Array(GROWTH);
  /** Monotonic ms, as of the last input. */
  nowMs = 0;

  /** The slot stands for another bucket from now on. */
  open(slot: number): void {
    if (slot >= this.#atMs.length) this.#grow(slot);
    this.#published[slot] = 0;
    this.#settled[slot] = 0;
    this.#atMs[slot] = this.nowMs;
  }

  /** Messages were stored. */
  published(slot: number, messages: number): void {
    this.#fade(slot);
    this.#published[slot]! += messages;
  }

  /** Messages were acked, or purged. */
  settled(slot: number, messages: number): void {
    this.#fade(slot);
    this.#settled[slot]! += messages;
  }

  /** Messages stored per second, about. */
  publishedOf(slot: number): number {
    return this.#perSecond(this.#published, slot);
  }

  /** Messages acked or purged per second, about. */
  settledOf(slot: number): number {
    return this.#perSecond(this.#settled, slot);
  }

  /** Nothing has happened yet: what was counted was recovery. */
  clear(): void {
    this.#published.fill(0);
    this.#settled.fill(0);
  }

  #perSecond(column: Float32Array, slot: number): number {
    const left = column[slot]! * Math.exp((this.#atMs[slot]! - this.nowMs) / FADE_MS);
    return (left * 1000) / FADE_MS;
  }

  #fade(slot: number): void {
    const sinceMs = this.nowMs - this.#atMs[slot]!;
    if (sinceMs <= 0) return;
    const share = Math.exp(-sinceMs / FADE_MS);
    this.#published[slot]! *= share;
    this.#settled[slot]! *= share;
    this.#atMs[slot] = this.nowMs;
  }

  #grow(slot: number): void {
    let size = this.#atMs.length;
    while (size <= slot) size *= 2;
    this.#published = grown(this.#published, new Float32Array(size));
    this.#settled = grown(this.#settled, new Float32Array(size));
    this.#atMs = grown(this.#atMs, new Float64Array(size));
  }
}

/** Copies a column into a longer one. */
export function grown<T extends Uint8Array | Uint32Array | Float32Array | Float64Array>(
  from: T,
  into: T,
): T {
  into.set(from);
  return into;
}
