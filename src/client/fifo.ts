// A queue whose items keep their number for life, so that a second reader (the sender, ahead of
// the acks) can stand in the middle of it. Amortised O(1); holds no reference to what has left.

const COMPACT_MIN = 1024;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0; // index of the first item in #items
  #base = 0; // number of #items[0]

  /** Number of the first item still here. */
  get first(): number {
    return this.#base + this.#head;
  }

  /** Number that the next item will get. */
  get next(): number {
    return this.#base + this.#items.length;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Item `number`, or undefined when it has left or has not come. */
  at(number: number): T | undefined {
    return this.#items[number - this.#base];
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head >= COMPACT_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#base += this.#head;
      this.#head = 0;
    }
    return item;
  }
}
