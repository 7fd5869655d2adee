// A binary heap: the least of many items at hand, each change in log n steps. Which of two items
// goes first is a method of a subclass and no function that is handed in, so that each use gets
// code of its own out of it. A subclass that wants to move or remove items elsewhere than at the
// top keeps the place that `placed` tells of.

export abstract class Heap<T> {
  readonly #items: T[] = [];

  /** Whether `a` goes before `b`; false for equals. */
  protected abstract before(a: T, b: T): boolean;

  /** The item stands at this place from now on, until it is placed again or taken out. */
  protected placed(_item: T, _at: number): void {}

  get size(): number {
    return this.#items.length;
  }

  /** All items, the first one at 0, the others in no particular order; not to be changed. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** The first item. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    items.push(item);
    this.#rise(items.length - 1, item);
  }

  /** Takes out the first item; nothing if there is none. */
  pop(): void {
    const items = this.#items;
    if (items.length === 0) return;
    const last = items.pop()!;
    if (items.length > 0) this.#sink(0, last);
  }

  /** Puts an item in the place of the first one. */
  replace(item: T): void {
    this.#sink(0, item);
  }

  /** The item at this place changed, and goes to where it belongs now. */
  update(at: number): void {
    this.#settle(at, this.#items[at]!);
  }

  /** Takes out all items. */
  clear(): void {
    this.#items.length = 0;
  }

  /** Takes out the item at this place. */
  remove(at: number): void {
    const items = this.#items;
    const last = items.pop()!;
    if (at < items.length) this.#settle(at, last);
  }

  // Puts an item at a place which it may be too late or too early for.
  #settle(at: number, item: T): void {
    const items = this.#items;
    if (at > 0 && this.before(item, items[(at - 1) >> 1]!)) this.#rise(at, item);
    else this.#sink(at, item);
  }

  #rise(from: number, item: T): void {
    const items = this.#items;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = items[above]!;
      if (!this.before(item, other)) break;
      items[at] = other;
      this.placed(other, at);
      at = above;
    }
    items[at] = item;
    this.placed(item, at);
  }

  #sink(from: number, item: T): void {
    const items = this.#items;
    let at = from;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= items.length) break;
      const right = below + 1;
      if (right < items.length && this.before(items[right]!, items[below]!)) below = right;
      const other = items[below]!;
      if (!this.before(other, item)) break;
      items[at] = other;
      this.placed(other, at);
      at = below;
    }
    items[at] = item;
    this.placed(item, at);
  }
}
