// When messages were stored, by sequence: a ladder of samples, dense where it is new and thinned
// out where it is old, so that ages cost the same memory however long the broker runs.

const STEPS_MAX = 4096;
const STEP_MS = 250;

export class StoredAt {
  // Ascending: messages from this sequence on were stored at this time or later.
  #sequences: number[] = [];
  #atMs: number[] = [];

  /** Messages from `sequence` on are stored from now on; monotonic ms. */
  note(sequence: number, nowMs: number): void {
    const last = this.#atMs.length - 1;
    if (last >= 0 && nowMs - this.#atMs[last]! < STEP_MS) return;
    if (last >= 0 && sequence <= this.#sequences[last]!) return;
    this.#sequences.push(sequence);
    this.#atMs.push(nowMs);
    if (this.#atMs.length > STEPS_MAX) this.#thin();
  }

  /** When the message was stored, about, in monotonic ms; undefined: before all that is known. */
  of(sequence: number): number | undefined {
    let low = 0;
    let high = this.#sequences.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sequences[middle]! <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#atMs[low - 1];
  }

  // Of the older half every other step goes: the oldest ages become coarse, the newest never.
  #thin(): void {
    const half = this.#atMs.length >> 1;
    const kept = (_: number, i: number) => i >= half || i % 2 === 0;
    this.#sequences = this.#sequences.filter(kept);
    this.#atMs = this.#atMs.filter(kept);
  }
}
