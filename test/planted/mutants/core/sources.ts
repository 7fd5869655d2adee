// Planted bugs in virtual buckets: who is in their rings, whose turn it is, who is looked for.

import type { Mutant } from '../../mutant.ts';

const TURNS = 'src/core/delivery/source-turns.ts';
const SEARCH = 'src/core/delivery/source-search.ts';
const VIRTUAL = 'test/core/delivery/virtual-buckets.test.ts';
const SEARCHED = 'test/core/delivery/source-search.test.ts';

export const CORE_SOURCES: readonly Mutant[] = [
  {
    name: 'the next record of a line, known from an index in memory, taken twice',
    file: 'src/core/buckets/front.ts',
    member: 'LineFront.pass',
    find: 'isHead || isOlder || (isAhead && !isSuspect && !isRequeued)',
    replace: 'isHead || (isAhead && !isSuspect && !isRequeued)',
    test: 'test/core/buckets/front.test.ts',
    caughtBy: 'the next record of a line may be known, and is next until it is taken, or forgotten',
  },
  {
    name: 'what is settled of that record given out again',
    file: 'src/core/buckets/front.ts',
    member: 'LineFront.knows',
    find: '!this.#unsettled.cut(slice, true)',
    replace: '!this.#unsettled.cut(slice)',
    test: 'test/core/buckets/front.test.ts',
    caughtBy: 'a line is looked up as ever where more than its next record matters',
  },
  {
    name: 'what is taken of that record never counted as ready',
    file: 'src/core/buckets/front.ts',
    member: 'LineFront.pass',
    find: 'if (isOlder) this.#count(page, slice, count);',
    replace: '',
    test: 'test/core/buckets/front.test.ts',
    caughtBy: 'what was not counted is so from when it is taken, with its payload',
  },
  {
    name: 'that record known of one line and given out of another',
    file: 'src/core/buckets/front.ts',
    member: 'LineFront.#peekLine',
    find: 'this.#older === slot',
    replace: 'this.#older > 0',
    test: 'test/core/buckets/front.test.ts',
    caughtBy: 'what is known of one line is nothing for others',
  },
  {
    name: 'a record that is on disk read for a source of which nobody then knows what is next',
    file: TURNS,
    member: 'SourceTurns.fetch',
    find: 'this.#lines.lookup(slot)',
    replace: '0',
    test: 'test/core/delivery/source-turns.test.ts',
    caughtBy: 'a record that cannot be read is set aside, and the rest of its source goes on',
  },
  {
    name: 'a turn that looks into indexes in memory without end',
    file: 'src/core/segments/index-lookup.ts',
    member: 'IndexLookup.start',
    find: 'looks < LOOKS_MAX',
    replace: 'true',
    test: 'test/core/segments/index-lookup.test.ts',
    caughtBy: 'a turn ends, however much that is not ready stands in indexes in memory',
  },
  {
    name: 'a source that has as many in flight as it may never comes back into its ring',
    file: 'src/core/delivery/settlement.ts',
    member: 'Settlement.#settle',
    find: 'this.#buckets.sources.change(part.slot)',
    replace: '0',
    test: VIRTUAL,
    caughtBy: 'max_in_flight=1 over the sources: one at a time for each, in its order',
  },
  {
    name: 'the weight of a source ignored',
    file: 'src/core/buckets/active-sources.ts',
    member: 'ActiveSources.quantumOf',
    find: "ring.order === 'weighted'",
    replace: 'false',
    test: VIRTUAL,
    caughtBy: 'weighted: a source gives as many in its turn as its weight says',
  },
  {
    name: 'a source that is next goes on beyond its turn',
    file: TURNS,
    member: 'SourceTurns.took',
    find: 'ring.rotate()',
    replace: 'void 0',
    test: VIRTUAL,
    caughtBy:
      'consumers of a virtual bucket are given what waits in its sources, one of each in turn',
  },
  {
    name: 'a source with a higher priority comes behind',
    file: 'src/core/buckets/active-sources.ts',
    member: 'ActiveSources.#priorityOf',
    find: "ring.order === 'strict'",
    replace: 'false',
    test: VIRTUAL,
    caughtBy:
      'strict: a source with a higher priority goes first, and those that have the same in turn',
  },
  {
    name: 'suspects of a virtual bucket given out with the rest',
    file: 'src/core/buckets/source-ring.ts',
    member: 'SourceRing.mayBeApart',
    find: 'return this.holders < Math.max(1, consumers >>> 1);',
    replace: 'return true;',
    test: 'test/core/buckets/source-ring.test.ts',
    caughtBy: 'at most half of the consumers hold suspects, and at least one',
  },
  {
    name: 'what is lost is charged by the rule of the first source of its delivery',
    file: 'src/core/delivery/in-flight.ts',
    member: 'InFlight.lose',
    find: 'settlement.lost(part, this.#answered, rest, together, cause, this.holder)',
    replace:
      'settlement.lost({ ...part, slot: this.first.slot }, this.#answered, rest, together, cause, this.holder)',
    test: VIRTUAL,
    caughtBy: 'what was lost together is charged to each by the rule of its own bucket',
  },
  {
    name: 'places of a virtual bucket are not freed',
    file: 'src/core/delivery/in-flight.ts',
    member: 'InFlight.#pass',
    find: 'this.shared.held -= count',
    replace: 'this.shared.held -= 0',
    test: VIRTUAL,
    caughtBy: 'max_in_flight and rate of the virtual bucket bound all of its sources together',
  },
  {
    name: 'a segment that was compacted while sources were looked for is left out',
    file: SEARCH,
    member: 'SourceSearch.merged',
    find: 'this.#goTo(base);',
    replace: 'this.#goTo(end);',
    test: SEARCHED,
    caughtBy: 'segments that become one meanwhile are looked at as that one',
  },
  {
    name: 'what was passed over while enough sources waited is not looked at again',
    file: SEARCH,
    member: 'SourceSearch.#visited',
    find: 'failure !== undefined || isAll',
    replace: 'true',
    test: SEARCHED,
    caughtBy: 'with enough found it pauses, and goes on there when half of them had their turn',
  },
  {
    name: 'a source that was forgotten with messages is not looked for',
    file: SEARCH,
    member: 'SourceSearch.forgotten',
    find: 'this.#isWanted ||= isLeft;',
    replace: '',
    test: SEARCHED,
    caughtBy:
      'a source that is forgotten with messages is looked for in a later round, one without is not',
  },
];
