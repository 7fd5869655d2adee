// What a checkpoint knows of messages becomes state again, page by page.

import type { NumberPage } from '../ports/basics.ts';
import type { KnownState, State } from './state.ts';

/** What a checkpoint says of messages, as pages of sets and numbers by sequence. */
export interface KnownMessages {
  segments: readonly Pick<KnownState, 'base'>[];
  settled: [number: number, bits: Uint32Array | undefined][];
  attempts: [number: number, page: number | Uint16Array][];
  waiting: [number: number, bits: Uint32Array | undefined][];
  placed: [number: number, bits: Uint32Array | undefined][];
  dead: [number: number, bits: Uint32Array | undefined][];
  settings: [number: number, bits: Uint32Array | undefined][];
  turns: [number: number, page: NumberPage][];
  levels: [number: number, page: NumberPage][];
  stored: [end: number, least: number, most: number][];
}

export function restoreMessages(state: State<unknown>, known: KnownMessages): void {
  for (const row of known.stored) state.times.restore(row);
  const { settled, attempts, turns, levels, ...sets } = state.buckets.outcomes;
  for (const name of ['waiting', 'placed', 'dead', 'settings'] as const)
    for (const [number, bits] of known[name]) sets[name].restore(number, bits);
  for (const [number, page] of known.turns) turns.restore(number, page);
  for (const [number, page] of known.levels) levels.restore(number, page);
  for (const [number, bits] of known.settled) settled.restore(number, bits);
  for (const [number, page] of known.attempts) attempts.restore(number, page);
}
