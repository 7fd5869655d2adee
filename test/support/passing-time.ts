// Time that passes as a test says, for timers and for whoever looks at the clock: no test waits for
// it, and none is too slow for it.

import type { TestContext } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';

// Less than what a timer may be late before that counts as a program that stood still.
const STEP_MS = 5;

/** From now on time stands still until the test ends, but for what is asked of the result. */
export function timeOf(t: TestContext): (ms: number) => Promise<void> {
  // Whole ms: sums of fractions differ in their last bits, and a timer that is due by so much later
  // than the last step would never fire.
  let nowMs = Math.ceil(performance.now());
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  t.mock.method(performance, 'now', () => nowMs);
  return async (ms) => {
    for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) {
      const stepMs = Math.min(STEP_MS, leftMs);
      nowMs += stepMs;
      t.mock.timers.tick(stepMs);
      await tick(); // what came meanwhile is read before it is judged
    }
  };
}
