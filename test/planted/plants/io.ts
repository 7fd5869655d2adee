// Deliberate faults in the effects: src/io (plants.ts).

import { type Plant, plant } from '../plant.ts';

export const IO_PLANTS: readonly Plant[] = [
  ...plant('src/io/lock.ts', [
    [
      'lock not taken',
      "if (status === 1)\n            return 'held';",
      "if (status === 1)\n            return 'taken';",
      'test/io/lock.test.ts',
      'a second holder is refused and told who the first one is',
    ],
    [
      'only the file LOCK is locked, which can be removed',
      "if (tried === 'taken')\n            return release;",
      "if (tried !== 'no helper')\n            return release;",
      'test/io/lock.test.ts',
      'who removes LOCK lets nobody in, and it is made again',
    ],
    [
      'LOCK that was removed is not noticed',
      "if (failure !== undefined || leads === 'to it')",
      "if (failure !== undefined || leads !== 'elsewhere')",
      'test/io/lock.test.ts',
      'who removes LOCK lets nobody in, and it is made again',
    ],
  ]),
  ...plant('src/io/home.ts', [
    [
      'a data folder that was replaced passes for one that was renamed',
      "if (failure !== undefined || leadsNow !== 'to it')\n                    return done(failure, leads);",
      '',
      'test/io/home.test.ts',
      'deleted, replaced and mounted over are told from renamed',
    ],
  ]),
];
