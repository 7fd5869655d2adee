// Planted bugs in src/io: lock and folders.

import type { Mutant } from '../mutant.ts';

export const IO: readonly Mutant[] = [
  {
    name: 'a data folder that was replaced passes for one that was renamed',
    file: 'src/io/home.ts',
    member: 'Home.#find',
    find: "if (failure !== undefined || leadsNow !== 'to it') return done(failure, leads);",
    replace: '',
    test: 'test/io/home.test.ts',
    caughtBy: 'deleted, replaced and mounted over are told from renamed',
  },
  {
    name: 'lock not taken',
    file: 'src/io/lock.ts',
    member: 'tryLock',
    find: "return 'held';",
    replace: "return 'taken';",
    test: 'test/io/lock.test.ts',
    caughtBy: 'a second holder is refused and told who the first one is',
  },
  {
    name: 'only the file LOCK is locked, which can be removed',
    file: 'src/io/lock.ts',
    member: 'lockDirectory',
    find: "tried === 'taken'",
    replace: "tried !== 'no helper'",
    test: 'test/io/lock.test.ts',
    caughtBy: 'who removes LOCK lets nobody in, and it is made again',
  },
  {
    name: 'LOCK that was removed is not noticed',
    file: 'src/io/lock.ts',
    member: 'FolderLock.check',
    find: "leads === 'to it'",
    replace: "leads !== 'elsewhere'",
    test: 'test/io/lock.test.ts',
    caughtBy: 'who removes LOCK lets nobody in, and it is made again',
  },
  {
    name: 'node stays with a server of NATS whose copy of the stream is stuck',
    file: 'src/io/cluster/jetstream.ts',
    member: 'JetStreamLink.read',
    find: 'if (isBehind) void this.#nats.connection.reconnect().catch(() => {});',
    replace: 'void isBehind;',
    test: 'test/io/cluster/link.test.ts',
    caughtBy: 'a node whose server does not show what its leader has goes to another server',
  },
];
