// Planted bugs in what rules decide of messages that come: for later, for other buckets as well, or
// the oldest go for them.

import type { Mutant } from '../../mutant.ts';

const DELAYS_TEST = 'test/core/fairness/delays.test.ts';
const COPIES_TEST = 'test/core/fairness/copies.test.ts';
const OVERFLOW_TEST = 'test/core/delivery/overflow.test.ts';

export const CORE_INTAKE_LATER: readonly Mutant[] = [
  {
    name: 'what is published for later is ready at once',
    file: 'src/core/segments/apply.ts',
    member: 'Apply.placed',
    find: 'this.#isNew && slot !== 0 && head.dueMs > 0',
    replace: 'false',
    test: DELAYS_TEST,
    caughtBy: 'what is published is answered at once, and ready at its time',
  },
  {
    name: 'due times rounded down',
    file: 'src/core/records/due-of.ts',
    member: 'dueAfter',
    find: 'Math.ceil',
    replace: 'Math.floor',
    test: DELAYS_TEST,
    caughtBy: 'due times are rounded up to 8 ms, never down',
  },
  {
    name: 'a head without room waits, and asks for none',
    file: 'src/core/connections/ruled-runs.ts',
    member: 'RuledRuns.#placed',
    find: 'if (messages === 0 && !reader.quantumUsed(0) && !reader.makeRoom(least)) return undefined;',
    replace: 'if (messages === 0) { this.#owner.wait(); return undefined; }',
    test: DELAYS_TEST,
    caughtBy: 'the first message of a batch goes in, however little of a segment is left',
  },
  {
    name: 'messages that were never given to anybody hold an ordered line',
    file: 'src/core/delivery/delivery-limits.ts',
    member: 'DeliveryLimits.#holdsOrder',
    find: 'this.#buckets.delayed.retriedOf(slot)',
    replace: 'this.#buckets.delayed.of(slot)',
    test: DELAYS_TEST,
    caughtBy: 'one at a time: what was never given to anybody holds nothing back',
  },
  {
    name: 'quotas forget what is to come later once it is durable',
    file: 'src/core/fairness/quotas.ts',
    member: 'messagesIn',
    find: 'ready + buckets.delayed.of(slot) + buckets.unackedOf(slot)',
    replace: 'ready + buckets.unackedOf(slot)',
    test: DELAYS_TEST,
    caughtBy: 'a quota counts what is to come later',
  },
  {
    name: 'a whole part goes where some of it is too much',
    file: 'src/core/delivery/overflow.ts',
    member: 'Overflow.#drop',
    find: "settlement.drop(next, this.#excess(next), 'overflow');",
    replace: "settlement.drop(next, next.count, 'overflow');",
    test: OVERFLOW_TEST,
    caughtBy: 'max_messages: the oldest go, everybody is answered with 1',
  },
  {
    name: 'a message more than needed goes for bytes',
    file: 'src/core/delivery/overflow.ts',
    member: 'Overflow.#excess',
    find: 'buckets.payload.ofPart(next, 0, most) < bytes',
    replace: 'buckets.payload.ofPart(next, 0, most) <= bytes',
    test: OVERFLOW_TEST,
    caughtBy: 'max_bytes: as few as do; a message that is larger goes itself',
  },
  {
    name: 'other rules are not for what waits already',
    file: 'src/core/delivery/overflow.ts',
    member: 'Overflow.use',
    find: 'this.#isSwept = false;',
    replace: '',
    test: OVERFLOW_TEST,
    caughtBy: 'another rule is for what waits already, and for nobody once it is gone',
  },
  {
    name: 'copies in the next batch',
    file: 'src/core/connections/ruled-runs.ts',
    member: 'RuledRuns.#copy',
    find: 'const said = { ...NO_HEAD, from, fromBucket, reason: REASON_COPIED };',
    replace:
      'const said = { ...NO_HEAD, from, fromBucket, reason: REASON_COPIED }; (commit as unknown as { flush(): void }).flush();',
    test: COPIES_TEST,
    caughtBy: 'each message is in its bucket and in each that gets copies, in one batch',
  },
  {
    name: 'copies are copied again',
    file: 'src/core/fairness/copies.ts',
    member: 'Copies.admit',
    find: 'copies.push({ low, high, dueMs, copiedMs });',
    replace:
      'copies.push({ low, high, dueMs, copiedMs }); const { copyTo: more } = this.#rules.for(low, high); for (let i = 0; i < more.length; i += 2) copies.push({ low: more[i]!, high: more[i + 1]!, dueMs, copiedMs });',
    test: COPIES_TEST,
    caughtBy: 'copies are not copied again, so a ring ends after one step',
  },
  {
    name: 'a bucket that takes no copy does not refuse the message',
    file: 'src/core/fairness/copies.ts',
    member: 'Copies.admit',
    find: 'this.#quotas.narrow(run, low, high);',
    replace: '',
    test: COPIES_TEST,
    caughtBy: 'a bucket that takes no more refuses the message whole, and what fits goes in',
  },
  {
    name: 'copies on their way to a bucket do not count',
    file: 'src/core/fairness/copies.ts',
    member: 'Copies.packed',
    find: 'this.#quotas.moving(low, high, messages, bytes);',
    replace: '',
    test: COPIES_TEST,
    caughtBy: 'what is on its way to a bucket counts, whoever it comes from',
  },
  {
    name: 'room for a message only, not for its copies',
    file: 'src/core/commit/open-segment.ts',
    member: 'OpenSegment.limit',
    find: 'Math.max(share, recordBytesMax) + least',
    replace: 'Math.max(share, recordBytesMax)',
    test: COPIES_TEST,
    caughtBy: 'the largest message with sixteen copies goes in, whatever waits for the disk',
  },
];
