// A page of a table of ids (recent-ids.ts): a small hash table by itself.
//
//   slot, u32 each:  id 0 … 3 │ time, low │ time, high: 11 bits │ window: 16 bits, shifted by 5
//   its tag, u8:     0 while the slot is free; else of the third word, so that most ids that are
//                    not there are told so without a look at any slot
//
// A slot is found by the second word of its id, or is one of those behind it.

/** Words of an id. */
export const ID_WORDS = 4;
/** Words of a slot. */
export const SLOT_WORDS = 6;
/** When it was published, and for how long that is known, in a slot. */
export const TIME = 4;
export const KEPT = 5;
/** Of the latter word, the bits that are no part of the time. */
export const WINDOW_BITS = 21;
const SHIFT_BITS = 5;
const MANTISSA_MAX = 2 ** (WINDOW_BITS - SHIFT_BITS) - 1;
const TWO_32 = 2 ** 32;
// More than there are words in any page; so many times a word is a number exactly.
const PLACES = 2 ** 21;

/** Slots of a page, at least; bytes of each. */
export const SLOTS_MIN = 64;
export const SLOT_BYTES = SLOT_WORDS * 4 + 1;
/** What part of the slots of a page that is new is taken, at most. */
export const LOAD_NEW = 0.72;
const LOAD_MAX = 0.9;
/** Bits of an id that all ids of a page may have in common. */
export const DEPTH_MAX = 31;
// In ms, by how far a window is shifted.
const SHIFTED = Array.from({ length: 2 ** SHIFT_BITS }, (_, shift) => 2 ** shift * 1000);

/** The same number of seconds, or a little more, as it is kept: never 0. */
export function packWindow(seconds: number): number {
  let shift = 0;
  let mantissa = Math.max(1, Math.ceil(seconds));
  while (mantissa > MANTISSA_MAX) {
    mantissa = Math.ceil(mantissa / 2);
    shift++;
  }
  return mantissa * 2 ** SHIFT_BITS + shift;
}

/** How long that is, in ms. */
export function windowMs(kept: number): number {
  const window = kept & (2 ** WINDOW_BITS - 1);
  return (window >>> SHIFT_BITS) * SHIFTED[window & (2 ** SHIFT_BITS - 1)]!;
}

/** When the id in a slot was published, in ms since 1970. */
export function timeOf(words: Uint32Array, slot: number): number {
  return (words[slot + KEPT]! >>> WINDOW_BITS) * TWO_32 + words[slot + TIME]!;
}

/** For how long the id in a slot is known from then on, in ms. */
export function keptMs(words: Uint32Array, slot: number): number {
  return windowMs(words[slot + KEPT]!);
}

/** Until when the id in a slot is known, in ms since 1970. */
export function untilMs(words: Uint32Array, slot: number): number {
  return timeOf(words, slot) + keptMs(words, slot);
}

// Never 0.
function tagOf(ids: Uint32Array, at: number): number {
  return ids[at + 2]! & 0xff || 1;
}

/** Slots of 24 bytes, and their tags. */
export class IdPage {
  words: Uint32Array;
  #tags: Uint8Array;
  slots: number;
  count = 0;
  /** When the first of its ids may be over, in ms since 1970: not before. */
  firstMs = Number.POSITIVE_INFINITY;
  /** High bits of an id that its ids have in common. */
  readonly depth: number;

  constructor(depth: number, slots: number) {
    this.depth = depth;
    this.slots = slots;
    const buffer = new ArrayBuffer(slots * SLOT_BYTES);
    this.words = new Uint32Array(buffer, 0, slots * SLOT_WORDS);
    this.#tags = new Uint8Array(buffer, this.words.byteLength);
  }

  /** It is what another one of the same depth is, which nobody has. */
  become(other: IdPage): void {
    this.words = other.words;
    this.#tags = other.#tags;
    this.slots = other.slots;
    this.count = other.count;
    this.firstMs = other.firstMs;
  }

  /**
   * Where the slot of an id begins; below 0: it is not there, and would go to -1 - that. Then no
   * slot is read: the tags are few, and soon in a cache.
   */
  find(ids: Uint32Array, at: number): number {
    const { slots } = this;
    const tags = this.#tags;
    const tag = tagOf(ids, at);
    let slot = this.#home(ids[at + 1]!);
    for (let there = tags[slot]!; there !== 0; there = tags[slot]!) {
      if (there === tag && this.#isAt(slot * SLOT_WORDS, ids, at)) return slot * SLOT_WORDS;
      slot++;
      if (slot === slots) slot = 0;
    }
    return -1 - slot * SLOT_WORDS;
  }

  #isAt(place: number, ids: Uint32Array, at: number): boolean {
    const { words } = this;
    return (
      words[place + 1] === ids[at + 1]! &&
      words[place] === ids[at]! &&
      words[place + 2] === ids[at + 2]! &&
      words[place + 3] === ids[at + 3]!
    );
  }

  #home(second: number): number {
    return (((second >>> 0) * this.slots) / TWO_32) >>> 0;
  }

  /** The free slot at a place has an id from now on, and no time yet. */
  fill(place: number, ids: Uint32Array, at: number): void {
    const { words } = this;
    for (let i = 0; i < ID_WORDS; i++) words[place + i] = ids[at + i]!;
    this.#tags[place / SLOT_WORDS] = tagOf(ids, at);
    this.count++;
  }

  /** Its slots that are taken, by the first word of their ids. */
  inOrder(): Uint32Array {
    const { words } = this;
    // One number for each, which sorts by the word and says where it is.
    const order = new Float64Array(this.count);
    let count = 0;
    for (let place = 0; place < words.length; place += SLOT_WORDS)
      if (words[place + KEPT] !== 0) order[count++] = words[place]! * PLACES + place;
    order.sort();
    const slots = new Uint32Array(count * SLOT_WORDS);
    for (let i = 0; i < count; i++) {
      const place = order[i]! % PLACES;
      for (let word = 0; word < SLOT_WORDS; word++)
        slots[i * SLOT_WORDS + word] = words[place + word]!;
    }
    return slots;
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.slots * SLOT_BYTES;
  }

  get isFull(): boolean {
    return this.count >= this.slots * LOAD_MAX;
  }

  /** Takes over what of another page is not over. */
  renew(before: IdPage, nowMs: number): void {
    const { words } = before;
    const tags = before.#tags;
    // Mostly nothing is over.
    const isWhole = before.firstMs > nowMs;
    for (let slot = 0, place = 0; slot < tags.length; slot++, place += SLOT_WORDS) {
      if (tags[slot] === 0) continue;
      if (isWhole) this.#take(tags[slot]!, words, place);
      else {
        const until = untilMs(words, place);
        if (until <= nowMs) continue;
        this.#take(tags[slot]!, words, place);
        if (until < this.firstMs) this.firstMs = until;
      }
    }
    if (isWhole) this.firstMs = before.firstMs;
  }

  /** Two pages with its ids, told apart by one bit more. */
  split(): [IdPage, IdPage] {
    const { words, depth } = this;
    const tags = this.#tags;
    const shift = DEPTH_MAX - depth;
    let ones = 0;
    for (let slot = 0; slot < tags.length; slot++)
      if (tags[slot] !== 0) ones += (words[slot * SLOT_WORDS]! >>> shift) & 1;
    const half = (count: number) =>
      new IdPage(depth + 1, Math.max(SLOTS_MIN, Math.ceil(count / LOAD_NEW)));
    const zero = half(this.count - ones);
    const one = half(ones);
    for (let slot = 0, place = 0; slot < tags.length; slot++, place += SLOT_WORDS)
      if (tags[slot] !== 0)
        (((words[place]! >>> shift) & 1) === 0 ? zero : one).#take(tags[slot]!, words, place);
    zero.firstMs = this.firstMs;
    one.firstMs = this.firstMs;
    return [zero, one];
  }

  // A slot of another page, which has its id once.
  #take(tag: number, from: Uint32Array, at: number): void {
    const { words, slots } = this;
    const tags = this.#tags;
    let slot = this.#home(from[at + 1]!);
    while (tags[slot] !== 0) {
      slot++;
      if (slot === slots) slot = 0;
    }
    tags[slot] = tag;
    this.count++;
    const place = slot * SLOT_WORDS;
    // One by one, as this is most of what growing costs.
    words[place] = from[at]!;
    words[place + 1] = from[at + 1]!;
    words[place + 2] = from[at + 2]!;
    words[place + 3] = from[at + 3]!;
    words[place + 4] = from[at + 4]!;
    words[place + 5] = from[at + 5]!;
  }
}
