// Planted bugs in src/core/fairness.

import type { Mutant } from '../../mutant.ts';

export const CORE_FAIRNESS: readonly Mutant[] = [
  {
    name: 'who publishes little waits for who publishes much',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.mustWait',
    find: '!this.shared || !producer.usage.heavy',
    replace: 'true',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy:
      'is closed to who publishes much when it has cost enough, and open to who publishes little',
  },
  {
    name: 'room always to the same who wait',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.roomAgain',
    find: 'behind.push(this.#waiting.pop());',
    replace: '',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy: 'comes behind those who got nothing, once it got something',
  },
  {
    name: 'large messages in one batch after the other',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.mustWait',
    find: 'producer.large && (this.#coolingDown || commit.writesLarge)',
    replace: 'false',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy: 'holds a large message if the one before it holds none',
  },
  {
    name: 'a rest that never ends',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.cooledDown',
    find: 'this.#coolingDown = false;',
    replace: '',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy: 'holds a large message when a rest is over as long as the last one took',
  },
  {
    name: 'who makes many buckets holds up who makes none',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.#hasMadeEnough',
    find: 'usage.bucketsMade > this.#share',
    replace: 'true',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy: 'holds nobody up who publishes to buckets that are there',
  },
  {
    name: 'who had to wait for the next tick waits for ever',
    file: 'src/core/fairness/fair-share.ts',
    member: 'FairShare.tick',
    find: 'this.#waiting = this.#waiting.concat(held)',
    replace: '',
    test: 'test/core/fairness/fair-share.test.ts',
    caughtBy: 'goes on in the next tick, for who publishes much',
  },
  {
    name: 'quota without the open batch',
    file: 'src/core/fairness/quotas.ts',
    member: 'Quotas.narrow',
    find: 'passage?.messages ?? 0',
    replace: '0',
    test: 'test/core/fairness/quotas.test.ts',
    caughtBy: 'plain: the open batch counts, and the one that is being written',
  },
  {
    name: 'message that fits refused behind one that does not',
    file: 'src/core/fairness/quotas.ts',
    member: 'fit',
    find: 'if (payload <= left) break;',
    replace: '',
    test: 'test/core/fairness/quotas.test.ts',
    caughtBy: 'plain: max_bytes: what fits goes in, also behind what does not',
  },
];
