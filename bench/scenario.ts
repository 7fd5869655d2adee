// What a scenario is: a name to ask for it by, and what it measures on a bed.

import type { Bed } from './bed.ts';
import type { Figure } from './samples.ts';

export interface Scenario {
  name: string;
  title: string;
  measure(bed: Bed): Promise<Figure[]>;
}
