// A queue that items may leave from anywhere: what is given up in the middle of a long line is gone
// at once, with all that it held. Items carry their own links, so every step is O(1).

/** What can stand in one queue. */
export class Queued<T> {
  /** How many came before it, since the beginning. */
  number = 0;
  previous: T | undefined;
  next: T | undefined;
}

export class Queue<T extends Queued<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #added = 0;

  get first(): T | undefined {
    return this.#first;
  }

  /** Items added since the beginning. */
  get added(): number {
    return this.#added;
  }

  /** Every item that came before this many has left. */
  get left(): number {
    return this.#first?.number ?? this.#added;
  }

  push(item: T): void {
    item.number = this.#added++;
    item.previous = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
  }

  /** Takes out an item that is here. Its links end, so that it keeps nobody alive. */
  remove(item: T): void {
    const { previous, next } = item;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    item.previous = undefined;
    item.next = undefined;
  }
}
