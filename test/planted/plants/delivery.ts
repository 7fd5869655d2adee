// Deliberate faults (plants.ts) in deliveries: from which record they are packed, to whom they
// go, and what is kept of their acks.

import type { Plant } from '../plant.ts';

const PLAIN = 'test/codec/plain.test.ts';
const COLD = 'test/log/read-cache/read-cache.test.ts';
const PRESENCE = 'test/core/delivery/presence.test.ts';

export const DELIVERY_PLANTS: readonly Plant[] = [
  {
    name: 'offset of another record used again',
    file: 'assembly/delivery.ts',
    find: 'const known = sequence == lastSequence && ',
    replace: 'const known = ',
    test: PLAIN,
    caughtBy: 'where a delivery stopped in one record says nothing about another of its size',
  },
  {
    name: 'record known again by its position',
    file: 'assembly/delivery.ts',
    find: 'bodyAt - RECORD_HEADER_BYTES + RECORD_SEQUENCE_AT',
    replace: 'bodyAt - RECORD_HEADER_BYTES + 16',
    test: PLAIN,
    caughtBy: 'where a delivery stopped says nothing about what stands at its position later',
  },
  {
    name: 'record of an earlier life known again',
    file: 'assembly/record.ts',
    find: '  forgetDelivery();\n',
    replace: '',
    test: PLAIN,
    caughtBy: 'where a delivery stopped says nothing about what stands at its position later',
  },
  {
    name: 'delivery frame one byte too short',
    file: 'assembly/delivery.ts',
    find: 'if (out + whole > bytesMax &&',
    replace: 'if (out + whole >= bytesMax &&',
    test: PLAIN,
    caughtBy: 'every first and count of a body, at every frame limit',
  },
  {
    name: 'read that waits looks at the old place of a record',
    file: 'src/log/read-cache/read-cache.ts',
    find: 'this.#queue = this.#queue.filter(({ position }) => !within(position));',
    replace: '',
    test: COLD,
    caughtBy: 'who waits for a read to begin while a segment is replaced is not told of damage',
  },
  {
    name: 'newcomer served before its end was read',
    file: 'src/core/delivery/presence.ts',
    find: 'const there = this.#arrived;',
    replace: 'const there = this.#arriving.splice(0);',
    test: PRESENCE,
    caughtBy: 'leaves no attempt behind, its end read 1 turns after its header',
  },
  {
    name: 'delivery to a connection that is closed',
    file: 'src/core/delivery/dispatcher.ts',
    find: '!consumer.link.destroyed && ',
    replace: '',
    test: PRESENCE,
    caughtBy: 'is charged once for what it held, and the others that went with it not at all',
  },
  {
    name: 'all that are overdue closed at once',
    file: 'src/core/timing/overdue.ts',
    find: 'if (left-- === 0)',
    replace: 'if (left < 0)',
    test: 'test/core/timing/overdue.test.ts',
    caughtBy: 'so many silent consumers, the first within its time and all within 30 s',
  },
  {
    name: 'marks beyond the list forgotten',
    file: 'src/core/commit/waiting-marks.ts',
    find: 'marks.put(sequence, count, attempts);',
    replace: '',
    test: 'test/core/records/ack-ranges.test.ts',
    caughtBy: 'settled: beyond what the list holds nothing is lost, and what came later is later',
  },
];
