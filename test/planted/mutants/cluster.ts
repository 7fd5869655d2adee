// Planted bugs in the stream between nodes, as it stands on NATS, and in its settings.

import type { Mutant } from '../mutant.ts';

export const CLUSTER: readonly Mutant[] = [
  {
    name: 'a failed store passes for a full one',
    file: 'src/io/cluster/append-outcome.ts',
    member: 'outcomeOf',
    find: 'AT_BOUND.test(error.message) ? FULL : UNKNOWN',
    replace: 'FULL',
    test: 'test/io/cluster/append-outcome.test.ts',
    caughtBy: 'whatever does not say for sure leaves a doubt',
  },
  {
    name: 'servers that do not sync are served if it is stated that they do',
    file: 'src/io/cluster/server-verdict.ts',
    member: 'judgeSync',
    find: 'unsynced.length > 0',
    replace: 'unsynced.length > 0 && !synced',
    test: 'test/io/cluster/server-verdict.test.ts',
    caughtBy: 'a server that does not sync is refused, whatever is stated',
  },
  {
    name: 'one old server among three passes',
    file: 'src/io/cluster/server-verdict.ts',
    member: 'judgeAge',
    find: 'old.length > 0',
    replace: 'old.length === servers.length',
    test: 'test/io/cluster/server-verdict.test.ts',
    caughtBy: 'servers that lose what they acked are refused, or accepted with a warning',
  },
  {
    name: 'an owner may deliver until another begins',
    file: 'src/config/cluster.ts',
    member: 'complaintOf',
    find: 'own >= ttl - beat - MARGIN_MS',
    replace: 'own >= ttl',
    test: 'test/config/cluster.test.ts',
    caughtBy: 'what does not go together is refused, with what to do',
  },
  {
    name: 'a stream made anew is taken for the one that was known',
    file: 'src/io/cluster/stream-settings.ts',
    member: 'whyRefused',
    find: 'createdBefore !== undefined && created !== createdBefore',
    replace: 'false',
    test: 'test/io/cluster/stream-settings.test.ts',
    caughtBy: 'a stream that was made anew is refused',
  },
];
