// Deliberate faults in what a delivery is packed from: records in memory, and which they are
// (plants.ts).

import type { Plant } from '../plant.ts';

const PLAIN = 'test/codec/plain.test.ts';
const COLD = 'test/log/cold.test.ts';

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
    file: 'src/log/cold.ts',
    find: 'this.#queue = this.#queue.filter(({ position }) => !within(position));',
    replace: '',
    test: COLD,
    caughtBy: 'who waits for a read to begin while a segment is replaced is not told of damage',
  },
];
