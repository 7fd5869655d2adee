// The module's surface: an export list and the ABI version, nothing else.

import { initCrc32c } from './crc32c';
import { ABI_VERSION } from './layout';

export { crc32c } from './crc32c';
export { closeFrame, deliver, locate } from './delivery';
export { identify, setSecret } from './identify';
export { intake, skim } from './intake';
// `measureRun` and `ruleOf` are not called from outside: what is exported stays a function of its
// own. Inside the loop of an intake the compiler would let them cost 4 %, without any rules.
export { measureRun } from './intake';
export { intakePlaced } from './intake-placed';
export { place } from './place';
export {
  getSequence,
  getWriteAt,
  openBatch,
  openSegment,
  packControl,
  packMarks,
  setKey,
  setLimit,
  setSequence,
} from './record';
export { ruleOf } from './rules';
export { scan, seek } from './scan';

/** Prepares the tables; returns the ABI version that the host must match. */
export function init(): u32 {
  initCrc32c();
  return ABI_VERSION;
}
