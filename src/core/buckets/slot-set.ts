// A set of slots, a bit each: it is asked about many that are not in it, one after the other, where
// a hash table would look into memory anew each time.

export class SlotSet {
  #words = new Uint32Array(64);
  /** Slots in it. */
  size = 0;

  /** Adds a slot; false: it is there already. */
  add(slot: number): boolean {
    const word = slot >>> 5;
    if (word >= this.#words.length) this.#grow(word);
    const before = this.#words[word]!;
    const after = before | (1 << (slot & 31));
    if (after === (before | 0)) return false;
    this.#words[word] = after;
    this.size++;
    return true;
  }

  /** Takes a slot out of it; false: it is not there. */
  delete(slot: number): boolean {
    const before = this.#words[slot >>> 5] ?? 0;
    const bit = 1 << (slot & 31);
    if ((before & bit) === 0) return false;
    this.#words[slot >>> 5] = before & ~bit;
    this.size--;
    return true;
  }

  clear(): void {
    if (this.size > 0) this.#words.fill(0);
    this.size = 0;
  }

  #grow(word: number): void {
    const words = new Uint32Array(Math.max(this.#words.length * 2, word + 1));
    words.set(this.#words);
    this.#words = words;
  }
}
