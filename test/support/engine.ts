// Instances of the module for tests. A world gets one of its own: that takes 2 ms, and memory only
// where it is touched; so nothing that one test did can help another, or be in its way.

import { Engine } from '../../src/wasm/engine.ts';

/** One that nobody has used. */
export function freshEngine(): Engine {
  return new Engine();
}

/**
 * One for all tests of a file, where `why` they may share it: what they ask of it is stated anew
 * each time, as the key and the place of the segment that they build.
 */
export function sharedEngine(why: string): Engine {
  if (why === '') throw new Error('say why they may share it');
  return new Engine();
}

/** Rules of a world that had a shared engine before are none of the next one's. */
export function forgetRules({ rules }: Engine): void {
  new Uint8Array(rules.buffer, rules.byteOffset, rules.byteLength).fill(0);
}
