// A segment as those see it who keep and search its index.

import type { Scannable } from '../scan/scan.ts';

export interface Indexed extends Scannable {
  /** CRC of its header: a segment that was made anew at the same place has another. */
  identity: number;
}
