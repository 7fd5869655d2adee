// What a scenario is.

import type { Bed } from './bed.ts';
import type { Figure } from './samples.ts';

export interface Scenario {
  name: string;
  title: string;
  /** `remark` takes what stands below the figures, a sentence each. */
  measure(bed: Bed, remark: (text: string) => void): Promise<Figure[]>;
}
