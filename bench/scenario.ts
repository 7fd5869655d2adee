// What a scenario is: a name to ask for it by, and what it measures on a bed.

import type { Bed } from './bed.ts';
import type { Figure } from './samples.ts';

export interface Scenario {
  name: string;
  title: string;
  /** `remark` takes what stands below the figures, a sentence each. */
  measure(bed: Bed, remark: (text: string) => void): Promise<Figure[]>;
}
