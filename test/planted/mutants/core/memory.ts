// Planted bugs in src/core/memory.

import type { Mutant } from '../../mutant.ts';

export const CORE_MEMORY: readonly Mutant[] = [
  {
    name: 'bytes of the inbox kept without a copy',
    file: 'src/core/memory/partial-input.ts',
    member: 'PartialInput.#appendSmall',
    find: 'this.#small.set(bytes, this.#bytes)',
    replace: 'this.#small = bytes',
    test: 'test/core/connections/producer.test.ts',
    caughtBy: 'what is kept of a chunk that was read into the inbox does not change with the inbox',
  },
  {
    name: 'memory for large messages given to whoever asks',
    file: 'src/core/memory/reservations.ts',
    member: 'Reservations.ask',
    find: 'this.#waiting > 0 || !this.#fits(bytes)',
    replace: 'false',
    test: 'test/core/memory/reservations.test.ts',
    caughtBy: 'half of all buffers are for large messages; who comes then waits',
  },
  {
    name: 'a slow sender keeps its memory while others wait',
    file: 'src/core/memory/reservations.ts',
    member: 'Reservations.advance',
    find: 'slowest?.tooSlow();',
    replace: '',
    test: 'test/core/memory/reservations.test.ts',
    caughtBy: 'who is slow goes, but only while others wait',
  },
];
