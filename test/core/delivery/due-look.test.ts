// A look at what is due next: in order over segments in memory and on disk, without a change, and
// not beyond what is in memory. due-times.test looks at worlds in which segments come and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DueLook } from '../../../src/core/delivery/due-look.ts';
import { DueSegment, Unfired } from '../../../src/core/delivery/due-segments.ts';
import { type DueEntry, emptyDueEntry } from '../../../src/core/records/due.ts';

const entry = (when: number, sequence = when): DueEntry => ({
  ...emptyDueEntry(),
  when,
  sequence,
});

function inMemory(base: number, ...whens: number[]): DueSegment {
  const segment = new DueSegment(base, Math.min(...whens), Math.min(...whens));
  segment.memory = new Unfired();
  for (const when of whens) segment.memory.push(segment.memory.entries.add(entry(when)));
  return segment;
}

function onDisk(base: number, first: number, end: number): DueSegment {
  const segment = new DueSegment(base, first, first);
  segment.end = end;
  return segment;
}

/** Looks at segments, of which those on disk have entries at these times. */
function look(
  segments: DueSegment[],
  files: Record<number, (number | 'absent')[]> = {},
  most = 100,
  enough = (_when: number) => false,
) {
  const asked: [base: number, place: number][] = [];
  const seen: number[] = [];
  const store = {
    read: (base: number, place: number, into: DueEntry) => {
      const when = files[base]![place]!;
      if (when === 'absent') return false;
      Object.assign(into, entry(when));
      return true;
    },
    load: (base: number, place: number) => void asked.push([base, place]),
  };
  new DueLook(store, segments).run(most, ({ when }) => {
    seen.push(when);
    return enough(when);
  });
  return { seen, asked };
}

test('all segments in the order of time; what is in memory stays as it is', () => {
  const segment = inMemory(1, 50, 10, 30, 20, 40);
  const items = [...segment.memory!.items];
  const disk = onDisk(2, 15, 3);
  const { seen, asked } = look([segment, disk], { 2: [15, 25, 60] });
  assert.deepEqual(seen, [10, 15, 20, 25, 30, 40, 50, 60]);
  assert.deepEqual(asked, []);
  assert.deepEqual([...segment.memory!.items], items);
  assert.deepEqual([disk.place, disk.when], [0, 15]);
});

test('of equal times the older message comes first', () => {
  const [a, b] = [inMemory(1, 10), inMemory(2, 10)];
  a.memory!.push(a.memory!.entries.add(entry(10, 3)));
  const sequences: number[] = [];
  const store = { read: () => false, load: () => {} };
  new DueLook(store, [a, b]).run(9, ({ sequence }) => sequences.push(sequence) === 0);
  assert.deepEqual(sequences, [3, 10, 10]);
});

test('it ends where an entry is on disk only, and asks for it; what is before is seen', () => {
  const found = look([inMemory(1, 10, 20, 30), onDisk(2, 15, 3)], { 2: [15, 'absent', 60] });
  assert.deepEqual(found, { seen: [10, 15], asked: [[2, 1]] });
});

test('a segment of which the next entry is being found ends it at the time that it is not before', () => {
  const blocked = onDisk(2, 15, 3);
  blocked.isBlocked = true;
  assert.deepEqual(look([inMemory(1, 10, 20), blocked]), { seen: [10], asked: [] });
  const both = inMemory(2, 15);
  both.isBlocked = true;
  assert.deepEqual(look([inMemory(1, 10, 20), both]).seen, [10, 15, 20], 'it is still in memory');
});

test('no more than was wanted, and no more when it is enough', () => {
  const segments = () => [inMemory(1, 10, 20, 30)];
  assert.deepEqual(look(segments(), {}, 2).seen, [10, 20]);
  assert.deepEqual(look(segments(), {}, 9, (when) => when === 20).seen, [10, 20]);
  assert.deepEqual(look([]).seen, []);
});
