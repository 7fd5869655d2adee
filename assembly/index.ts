// The module's surface: an export list and the ABI version, nothing else.

import { initCrc32c } from './crc32c';
import { ABI_VERSION } from './layout';

export { crc32c } from './crc32c';
export { closeFrame, deliver, locate } from './delivery';
export { intake, skim } from './intake';
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
export { scan, seek } from './scan';

/** Prepares the tables; returns the ABI version that the host must match. */
export function init(): u32 {
  initCrc32c();
  return ABI_VERSION;
}
