// A pace for tests that bring their own turns.

import { Pace } from '../../src/log/files/throttle.ts';

/** Goes on with everything by `soon`, whatever may be in the way. */
export function paceOf(soon: (call: () => void) => void): Pace {
  return new Pace({ soon, breath: soon, pause: soon });
}
