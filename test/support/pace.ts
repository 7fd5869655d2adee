// A pace for tests that bring their own turns.

import type { Foreground } from '../../src/core/ports/foreground.ts';
import { IDLE, Throttle } from '../../src/log/files/throttle.ts';

/** Goes on with everything by `soon`, whatever may be in the way. */
export function paceOf(soon: (call: () => void) => void, foreground: Foreground = IDLE): Throttle {
  return new Throttle({ soon, shortDelay: soon, idleDelay: soon }, foreground);
}
