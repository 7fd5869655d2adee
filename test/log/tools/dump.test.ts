// A dump of a log that is not whole: what is wrong is told as entries, what can be read follows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_START,
  RECORD_TYPE_AT,
  RECORD_TYPE_MAX,
  SEGMENT_VERSION_AT,
} from '../../../assembly/layout.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { type DumpEntry, type Dumped, dumpLog, lineOf } from '../../../src/log/tools/dump.ts';
import type { MemoryFiles } from '../../support/memory-files.ts';
import { type Built, buildSegment, codec, filesOf, seal } from '../harness.ts';

const SMALL = 8 * 1024;

function chain(count: number): Built[] {
  const built: Built[] = [];
  for (let n = 0; n < count; n++) {
    const at = { bytes: SMALL, base: n * SMALL, sequence: n + 1 };
    built.push(buildSegment(at, [{ messages: [{ bucket: 1, body: `${n}` }] }, { last: true }]));
  }
  return built;
}

async function dump(files: MemoryFiles): Promise<{ dumped: Dumped; entries: DumpEntry[] }> {
  const entries: DumpEntry[] = [];
  const write = async (more: DumpEntry[]) => void entries.push(...more);
  const dumped = await dumpLog(files, codec, { write });
  assert.equal(files.openHandles, 0, 'files were left open');
  assert.equal(files.changes, 0);
  return { dumped, entries };
}

/** The lines about segments and gaps. */
function lines(entries: DumpEntry[]): string[] {
  return entries.filter(({ type }) => type === 'segment' || type === 'gap').map(lineOf);
}

const ofSegment = (n: number) => `# ${segmentName(n * SMALL)}: position ${n * SMALL}`;

test('files that cannot be opened, or are of another version, are entries with the reason', async () => {
  const built = chain(5);
  for (const n of [1, 2]) built[n]!.image[SEGMENT_VERSION_AT] = 9;
  const files = filesOf(...built);
  files.fail({ op: 'open', nth: 4, code: 'EACCES', times: 2 });
  const { dumped, entries } = await dump(files);
  assert.deepEqual(dumped, { segments: 5, unknownVersion: true, unreadable: true });
  const about = lines(entries);
  assert.equal(about.length, 5);
  assert.match(
    about[0]!,
    new RegExp(`^${ofSegment(0)}, 8192 bytes, log 1122334455667788, epoch 1`),
  );
  for (const n of [1, 2]) {
    const [first, second] = about[n]!.split('\n');
    assert.equal(first, `${ofSegment(n)}, 8192 bytes, no valid header`);
    assert.match(second!, /^# 0.*\.log has format version 9;/);
  }
  for (const n of [3, 4])
    assert.equal(about[n], `${ofSegment(n)}, 0 bytes, no valid header\n# EACCES: injected, open`);
  const messages = entries.filter(({ type }) => type === 'messages');
  assert.deepEqual(
    messages.map(({ segment }) => segment),
    [segmentName(0)],
  );
});

test('what goes wrong while a segment is read is told behind what was read of it', async () => {
  const unread = filesOf(...chain(2));
  const fault = unread.fail({ op: 'read', nth: 2, code: 'EIO', name: /0{20}/ });
  const failed = await dump(unread);
  assert.equal(fault.fired, 1);
  assert.deepEqual(failed.dumped, { segments: 2, unknownVersion: false, unreadable: true });
  const [first, again, second, ...rest] = lines(failed.entries);
  assert.equal(again, `${first}\n# EIO: injected, read`);
  assert.ok(second!.startsWith(ofSegment(1)));
  assert.deepEqual(rest, []);

  const [built] = chain(1) as [Built];
  const at = built.offsets[1]!;
  built.image[at + RECORD_TYPE_AT] = RECORD_TYPE_MAX + 1;
  seal(built.image, at);
  const newer = await dump(filesOf(built));
  assert.deepEqual(newer.dumped, { segments: 1, unknownVersion: true, unreadable: false });
  const types = newer.entries.map(({ type }) => type);
  assert.equal(types.at(-1), 'segment');
  assert.match(lines(newer.entries).at(-1)!, /a record of unknown type at offset/);
});

test('a time that is no date is told as it stands', async () => {
  const late = 2 ** 53;
  const control = [[RECORD_START, 1, late]] as [number, number, number][];
  const { entries } = await dump(filesOf(buildSegment({ bytes: SMALL }, [{ control }])));
  const [start, commit] = entries.slice(1) as [DumpEntry, DumpEntry];
  assert.match(lineOf(start), new RegExp(`^4096 start .* time ${late} ms, 0 bytes$`));
  assert.match(lineOf(commit), / time 2023-11-14T22:13:20.000Z, 0 bytes$/);
});
