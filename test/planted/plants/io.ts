// Deliberate faults in the effects: src/io (plants.ts).

import { type Plant, plant } from '../plant.ts';

export const IO_PLANTS: readonly Plant[] = [
  ...plant('src/io/lock.ts', [
    [
      'lock not taken',
      'if (ran.status === 1) {',
      'if (ran.status === 1) {\n            return () => {};',
      'test/io/lock.test.ts',
      'a second holder is refused and told who the first one is',
    ],
  ]),
];
