// What the bytes of consumers ask for, from the contract's table, spelled out once more; and which
// bytes the clients of a world send.

import type { Random } from '../support/random.ts';

/** What a byte other than 1 asks for. */
export interface Answer {
  /** No attempt is charged. */
  free: boolean;
  /** Nobody is to have it again. */
  rejects: boolean;
  /** Time that it names, in ms; undefined: its rule does. */
  ms: number | undefined;
}

export function answerOf(byte: number): Answer {
  const rejects = byte === 2;
  if (byte === 3) return { free: true, rejects, ms: 0 };
  if (byte >= 0x40 && byte < 0x60) return { free: false, rejects, ms: 2 ** (byte - 0x40) };
  if (byte >= 0x60 && byte < 0x80) return { free: true, rejects, ms: 2 ** (byte - 0x60) };
  return { free: false, rejects, ms: undefined };
}

/** Bytes of clients that say nothing of time. */
export function plainByte(random: Random): number {
  return [0, 0x3e, 254][random.below(3)]!;
}

/** Bytes of clients that say all that can be said: mostly short times, now and then a long one. */
export function anyByte(random: Random): number {
  const kind = random.below(10);
  if (kind < 3) return [0, 0x3e, 4, 0x3f, 0x80, 0xfe][random.below(6)]!;
  if (kind < 4) return 3;
  const e = random.chance(0.1) ? random.below(32) : random.below(12);
  return (kind < 8 ? 0x40 : 0x60) + e;
}
