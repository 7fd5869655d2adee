// Planted bugs in what rules decide of messages that come: for later, or the oldest go for them.

import type { Mutant } from '../../mutant.ts';

const DELAYS_TEST = 'test/core/fairness/delays.test.ts';
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
    name: 'a head without room asks for ever',
    file: 'src/core/connections/batch-reader.ts',
    member: 'BatchReader.#placed',
    find: 'if (messages === 0 && !this.#quantumUsed() && !this.#makeRoom()) return undefined;',
    replace: 'if (messages === 0) throw new BugError("bug: no room");',
    test: DELAYS_TEST,
    caughtBy: 'messages that fill segments, in any pieces, with others between them',
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
    find: 'settlement.drop(next, this.#excess(next));',
    replace: 'settlement.drop(next, next.count);',
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
];
