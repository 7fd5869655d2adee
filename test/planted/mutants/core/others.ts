// Planted bugs in the smaller rooms of src/core.

import type { Mutant } from '../../mutant.ts';

export const CORE_OTHERS: readonly Mutant[] = [
  {
    name: 'purge takes one message too many',
    file: 'src/core/admin/purge.ts',
    member: 'Purge.constructor',
    find: 'this.#end = broker.nextSequence;',
    replace: 'this.#end = broker.nextSequence + 1;',
    test: 'test/core/admin/admin.test.ts',
    caughtBy: 'leaves what consumers hold, and what comes later',
  },
  {
    name: 'acks at a page border lost',
    file: 'src/core/collections/sequence-set.ts',
    member: 'SequenceSet.add',
    find: 'const to = Math.min(first + count - number * PAGE, PAGE);',
    replace: 'const to = Math.min(first + count - number * PAGE, PAGE - 1); if (to <= from) break;',
    test: 'test/core/collections/sequence-set.test.ts',
    caughtBy: 'does as a Set does',
  },
  {
    name: 'segment forgotten that was given back while it was compacted',
    file: 'src/core/segments/retention.ts',
    member: 'Retention.merged',
    find: 'segment.base >= base',
    replace: 'segment.base === base',
    test: 'test/log/broker.test.ts',
    caughtBy:
      'a segment is given back while it is compacted: what stays of the others is delivered',
  },
  {
    name: 'segment with live messages given back',
    file: 'src/core/segments/retention.ts',
    member: 'Retention.#isNeeded',
    find: 'live > 0 || idsUntilMs > this.wallMs',
    replace: 'idsUntilMs > this.wallMs',
    test: 'test/core/segments/retention.test.ts',
    caughtBy: 'the oldest segment with a live message bounds what may go',
  },
  {
    name: 'dead messages counted that were compacted away',
    file: 'src/core/segments/apply.ts',
    member: 'Apply.#missing',
    find: 'this.#notThere(this.nextSequence, count)',
    replace: '',
    test: 'test/core/segments/state-builder.test.ts',
    caughtBy: 'dead messages and settings that a checkpoint names count while they are in the log',
  },
  {
    name: 'a segment that is read again says what a checkpoint knows better',
    file: 'src/core/segments/state-builder.ts',
    member: 'StateBuilder.segment',
    find: 'base <= this.#toldTo',
    replace: 'false',
    test: 'test/core/segments/state-builder.test.ts',
    caughtBy:
      'a segment that is read although a checkpoint knows it says nothing of times and levels',
  },
  {
    name: 'trim runs ahead of the disk',
    file: 'src/core/segments/retention.ts',
    member: 'Retention.needed',
    find: 'segments[at + 1].base <= durable',
    replace: 'segments[at + 1].base <= Infinity',
    test: 'test/core/segments/retention.test.ts',
    caughtBy: 'the oldest segment with a live message bounds what may go',
  },
  {
    name: 'all that are overdue closed at once',
    file: 'src/core/timing/overdue.ts',
    member: 'Overdue.advance',
    find: 'left-- === 0',
    replace: 'left < 0',
    test: 'test/core/timing/overdue.test.ts',
    caughtBy: 'so many silent consumers, the first within its time and all within 30 s',
  },
  {
    name: 'an IPv6 address with the end of an IPv4 one is none',
    file: 'src/core/text/address.ts',
    member: 'parseAuthority',
    find: '/^(?:\\[([0-9a-zA-Z:.%_]+)\\]|([^\\s:[\\]/]+)):(\\d{1,5})$/',
    replace: '/^(?:\\[([0-9a-zA-Z:%_]+)\\]|([^\\s:[\\]/]+)):(\\d{1,5})$/',
    test: 'test/core/text/address.test.ts',
    caughtBy: 'what is written is read back, IPv6 in brackets',
  },
];
