// What the tools make of a folder before they read a record: which files belong to the log, with
// which key, and what is wrong with each. And of records that an older life left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { openForTools, problemOf } from '../../../src/log/tools/segment-walk.ts';
import { type VerifyReport, verifyLog } from '../../../src/log/tools/verify.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { ModelLog } from '../compacting.ts';
import { type BatchPlan, buildSegment, codec, filesOf } from '../harness.ts';

const random = new Random(seedOf('log/tools/segment-walk.test'));
const SMALL = 8 * 1024;

async function verify(files: MemoryFiles): Promise<VerifyReport> {
  const report = await verifyLog(files, codec, () => {});
  assert.equal(files.openHandles, 0, 'files were left open');
  return report;
}

test('what a compacted segment stands for is left over, whatever became of its header or file', async () => {
  const log = new ModelLog(random, 4);
  const names = log.sealed.slice(1, 3).map(({ base }) => segmentName(base));
  log.settleMost();
  assert.ok(await log.compact(0, 3, true));
  const bends: [string, (files: MemoryFiles) => unknown][] = [
    ['as it was', () => {}],
    ['no header', (files) => files.image(names[0]!).fill(0, 0, SEGMENT_HEADER_BYTES)],
    ['a bit', (files) => files.flip(names[0]!, 20, 1)],
    [
      'closed',
      (files) => files.fail({ op: 'open', nth: 1, code: 'EACCES', name: RegExp(names[0]!) }),
    ],
    [
      'unreadable',
      (files) => files.fail({ op: 'read', nth: 1, code: 'EIO', name: RegExp(names[0]!) }),
    ],
  ];
  for (const [what, bend] of bends) {
    const files = log.files.clone();
    bend(files);
    const report = await verify(files);
    assert.deepEqual(report.leftovers, names, what);
    assert.deepEqual([report.verdict, report.unreadable], ['clean', false], what);
  }
  // Of another log it is no part of it either, but nothing that may go.
  const files = log.files.clone();
  const base = log.files.names().includes(names[1]!) ? Number(names[1]!.slice(0, 20)) : 0;
  files.put(names[1]!, buildSegment({ bytes: SMALL, base, logId: 5n }, [{}]).image);
  const report = await verify(files);
  assert.deepEqual([report.leftovers, report.verdict], [[names[0]], 'damaged']);
  assert.match(
    report.segments.flatMap(({ problems }) => problems.map(({ text }) => text)).join(),
    new RegExp(`belongs to another log than ${segmentName(0)}`),
  );
});

test('no header holds and the records cannot be read: that is said of the file, as unreadable', async () => {
  const built = buildSegment({ bytes: SMALL }, [{ messages: [{ bucket: 1, body: 'one' }] }]);
  built.image[20]! ^= 1;
  assert.equal((await verify(filesOf(built))).messages, 1);
  const files = filesOf(built);
  const fault = files.fail({ op: 'read', nth: 2, code: 'EIO', times: 99 });
  const report = await verify(files);
  assert.ok(fault.fired > 1);
  assert.deepEqual([report.unreadable, report.messages], [true, 0]);
});

test('what an error says of a file; any other is no finding but a failure', () => {
  const system = Object.assign(new Error('EIO: x'), { code: 'EIO', syscall: 'read' });
  assert.deepEqual(problemOf(system), { code: 'io', text: 'EIO: x' });
  for (const code of ['damaged', 'version', 'io'] as const)
    assert.deepEqual(problemOf(new LogError(code, 'why')), { code, text: 'why' });
  for (const error of [new LogError('missing', 'why'), new TypeError('a bug')])
    assert.throws(
      () => problemOf(error),
      (thrown) => thrown === error,
    );
});

test('records of an older life behind the end of a newer one are passed over', async () => {
  const batch = (body: string): BatchPlan => ({ messages: [{ bucket: 1, body }] });
  const old = buildSegment({ bytes: SMALL }, ['a', 'b', 'c', 'd'].map(batch));
  const at = { bytes: SMALL, onto: old.image, offset: old.offsets[1]!, sequence: 2 };
  const one = buildSegment({ ...at, epoch: 2 }, [batch('new')]);
  const report = await verify(filesOf(one));
  assert.deepEqual([report.verdict, report.messages, report.bad], ['clean', 2, []]);
  // Of the same life they would be what a damaged batch is proved by.
  const torn = buildSegment({ ...at, epoch: 2 }, [batch('new'), batch('more'), {}]);
  torn.image[torn.offsets[1]! + 60]! ^= 1;
  assert.equal((await verify(filesOf(torn))).verdict, 'damaged');
});

test('what cannot be read up to its end proves nothing by what an older life left elsewhere', async () => {
  const batch = (body: string): BatchPlan => ({ messages: [{ bucket: 1, body }] });
  const first = buildSegment({ bytes: SMALL, epoch: 5 }, [batch('a'), batch('b'), batch('c')]);
  first.image[first.offsets[1]! + 60]! ^= 1;
  first.image.fill(0, first.offsets[2]!); // nothing behind it but in the next segment
  const next = { bytes: SMALL, base: SMALL, sequence: 4 };
  const verdict = async (epoch: number, nth: number) => {
    const files = filesOf(first, buildSegment({ ...next, epoch }, [batch('d'), {}]));
    const fault = files.fail({ op: 'read', nth, code: 'EIO', times: 9, name: /0{20}/ });
    const { bad, unreadable } = await verify(files);
    return [fault.fired > 0, unreadable, ...bad.map((range) => range.verdict)];
  };
  assert.deepEqual(await verdict(5, 99), [false, false, 'damaged', 'damaged']);
  // Unreadable behind the bad spot: that of the next segment proves it, unless it is older.
  assert.deepEqual(await verdict(5, 4), [true, true, 'damaged']);
  assert.deepEqual(await verdict(3, 4), [true, true, 'torn', 'torn']);
});

test('an empty folder holds nothing, and a newest file without a byte is left over', async () => {
  assert.deepEqual((await openForTools(filesOf())).segments, []);
  const built = buildSegment({ bytes: SMALL }, [{}]);
  const files = filesOf(built);
  files.put(segmentName(SMALL), new Uint8Array(0));
  assert.deepEqual((await verify(files)).leftovers, [segmentName(SMALL)]);
});
