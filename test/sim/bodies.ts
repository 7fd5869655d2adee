// Bodies of messages that tell which message they are: every body there is has one number, and the
// number gives every byte of it.

const TWO_BYTES = 65_536;

/** Numbers for bodies of each length; bodies of one and two bytes run out. */
export class Bodies {
  #ones = 0;
  #twos = 0;
  #others = 0;

  /** The number of a new body of about `length` bytes, at least 1. */
  next(length: number): { id: number; length: number } {
    if (length === 1 && this.#ones < 256) return { id: this.#ones++, length };
    if (length <= 2 && this.#twos < TWO_BYTES) return { id: 256 + this.#twos++, length: 2 };
    return { id: 256 + TWO_BYTES + this.#others++, length: Math.max(3, length) };
  }
}

export function bodyOf(id: number, length: number): Uint8Array {
  const body = new Uint8Array(length);
  let value = id;
  if (length === 2) value -= 256;
  if (length > 2) value -= 256 + TWO_BYTES;
  for (let i = 0; i < Math.min(3, length); i++) body[i] = (value >>> (8 * i)) & 255;
  for (let i = 3; i < length; i++) body[i] = (id * 31 + i * 7 + (i >> 6)) & 255;
  return body;
}

/** The number that a body claims to have. */
export function idOf(body: Uint8Array): number {
  if (body.length === 1) return body[0]!;
  if (body.length === 2) return 256 + body[0]! + 256 * body[1]!;
  return 256 + TWO_BYTES + body[0]! + 256 * body[1]! + 65_536 * body[2]!;
}
