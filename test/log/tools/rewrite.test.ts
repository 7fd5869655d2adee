// A log written anew: through a small inbox, over many segments, and where the new disk fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RECORD_BODY_BYTES_AT,
  RECORD_BODY_CRC_AT,
  RECORD_COUNT_AT,
  RECORD_HEADER_BYTES,
  RECORD_TRIM,
  SEGMENT_CRC_AT,
  SEGMENT_DATA_AT,
  SEGMENT_VERSION_AT,
} from '../../../assembly/layout.ts';
import { crc32c } from '../../../src/codec/crc32c.ts';
import { PlainCodec } from '../../../src/codec/plain.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { type RepairReport, repairLog } from '../../../src/log/tools/repair.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { smallPlainCodec } from '../../support/twins.ts';
import {
  type Built,
  buildSegment,
  type Collector,
  codec,
  filesOf,
  type Message,
  recoverFrom,
  seal,
  TIME_MS,
} from '../harness.ts';

const SMALL = 8 * 1024;
const reader = smallPlainCodec();

interface Repair {
  old: MemoryFiles;
  into?: MemoryFiles;
  with_?: Codec;
  /** Called when all was read, and what is left is to complete the new log. */
  copied?: () => void;
}

async function repair({ old, into = new MemoryFiles(), with_ = codec, copied }: Repair) {
  const target = { files: into, codec: with_, newLogId: 99n, wallMs: () => TIME_MS };
  const report = await repairLog(old, reader, target, (done, total) => {
    if (done === total) copied?.();
  });
  assert.equal(old.changes, 0);
  return report;
}

async function repaired(options: Repair): Promise<{ report: RepairReport; got: Collector }> {
  const into = options.into ?? new MemoryFiles();
  const report = await repair({ ...options, into });
  assert.equal(into.openHandles, 0, 'files were left open');
  const { got } = await recoverFrom(into.clone());
  assert.equal(got.messages.size, report.saved.messages);
  return { report, got };
}

function messages(count: number, size: number): Message[] {
  return Array.from({ length: count }, (_, i) => ({ bucket: 1, body: `${i}-`.padEnd(size, '.') }));
}

function bodies(given: Message[]): string[] {
  return given.map(({ bucket, body }) => `${bucket}:${body}`);
}

/** A batch in a large segment, and another one, so that it counts. */
function large(given: Message[]): Built {
  return buildSegment({ bytes: 64 * 1024 }, [{ messages: given }, {}]);
}

test('a record larger than the inbox is packed in pieces, sequences and attempts kept', async () => {
  const given = messages(60, 900);
  const returned = [{ sequence: 1, count: 60, attempts: 4 }];
  const built = buildSegment({ bytes: 64 * 1024 }, [{ messages: given }, { returned }, {}]);
  const sizes = { inboxBytes: 4096, outboxBytes: 4096, coldBytes: 65_536, ringBytes: 65_536 };
  const { got } = await repaired({ old: filesOf(built), with_: new PlainCodec(sizes) });
  assert.deepEqual([...got.messages.values()], bodies(given));
  assert.deepEqual(
    [...got.attempts],
    given.map((_, i) => [i + 1, 4]),
  );
});

test('neighbours of one record keep the attempts that each of them had', async () => {
  const given = messages(6, 9);
  const returned = [
    { sequence: 2, count: 1, attempts: 3 },
    { sequence: 3, count: 2, attempts: 5 },
    { sequence: 6, count: 1, attempts: 3 },
  ];
  const built = buildSegment({ bytes: SMALL }, [{ messages: given }, { returned }, {}]);
  const { got } = await repaired({ old: filesOf(built) });
  assert.deepEqual([...got.messages.values()], bodies(given));
  assert.deepEqual(
    [...got.attempts].sort(([a], [b]) => a - b),
    [
      [2, 3],
      [3, 5],
      [4, 5],
      [6, 3],
    ],
  );
});

test('a folder with something else in it is written to all the same, and that is left alone', async () => {
  const into = new MemoryFiles();
  into.put('notes.txt', Buffer.from('mine'));
  const { got } = await repaired({ old: filesOf(large(messages(3, 10))), into });
  assert.equal(got.messages.size, 3);
  assert.equal(Buffer.from(into.image('notes.txt')).toString(), 'mine');
});

test('no space for what was packed, or for a further segment, ends it and says so', async () => {
  const old = () => filesOf(large(messages(60, 900)));
  const into = new MemoryFiles();
  const name = /^0{12}.*\.log$/;
  const fault = into.fail({ op: 'write', nth: 1, code: 'ENOSPC', times: 99, name });
  const said = {
    name: 'LogError',
    code: 'io',
    message: /^the new log cannot be written: no space/,
  };
  await assert.rejects(repair({ old: old(), into }), said);
  assert.equal(fault.fired, 1, 'it waited for space');
  // Room for one segment, and for the second only because a reserve is not there yet.
  for (let eighths = 8; eighths < 8 * 5; eighths++) {
    const small = new MemoryFiles();
    small.capacity = (eighths / 8) * 64 * 1024;
    const many = [0, 1, 2, 3].map((n) => {
      const at = { bytes: 64 * 1024, base: n * 64 * 1024, sequence: 1 + 60 * n };
      return buildSegment(at, [{ messages: messages(60, 900) }, { last: n < 3 }]);
    });
    await assert.rejects(repair({ old: filesOf(...many), into: small }), (error) => {
      const { message } = error as Error;
      assert.match(message, /ENOSPC|^the new log cannot be written: no space left/);
      return true;
    });
  }
});

test('a new log that does not read back as it was written is not to be used', async () => {
  const old = () => filesOf(large(messages(5, 100)));
  const refused = async (into: MemoryFiles, copied: () => void, text: RegExp) => {
    await assert.rejects(repair({ old: old(), into, copied }), (error) => {
      assert.ok(error instanceof LogError && error.code === 'io', String(error));
      assert.match(error.message, text);
      return true;
    });
  };
  const closed = new MemoryFiles();
  const unread = () => void closed.fail({ op: 'read', nth: 1, code: 'EIO', times: 99 });
  await refused(closed, unread, /written: not all of it can be read, 0 of 5 messages are there/);
  // It reads well, but what was said to be on disk is not there.
  const lying = new MemoryFiles();
  const list = lying.list.bind(lying);
  const forget = () => {
    lying.list = (done) => {
      for (const name of lying.names()) lying.image(name).fill(0, SEGMENT_DATA_AT);
      list(done);
    };
  };
  await refused(lying, forget, /as it was written: 0 of 5 messages are there. Do not use it/);
});

test('a version that its checksum confirms is refused, one that a bad sector made up is not', async () => {
  const built = large(messages(5, 100));
  const { image } = built;
  image[SEGMENT_VERSION_AT] = 9;
  assert.equal((await repaired({ old: filesOf(built) })).got.messages.size, 5);
  const crc = crc32c(image.subarray(0, SEGMENT_CRC_AT));
  new DataView(image.buffer).setUint32(SEGMENT_CRC_AT, crc, true);
  const into = new MemoryFiles();
  const refused = repair({ old: filesOf(built), into });
  await assert.rejects(refused, { name: 'LogError', code: 'version', message: /version 9/ });
  assert.equal(into.changes, 0);
});

test('what is damaged and not needed any more is not called lost', async () => {
  const first = buildSegment({ bytes: SMALL }, [{ messages: messages(3, 9) }, {}, { last: true }]);
  first.image[SEGMENT_DATA_AT + 60]! ^= 1;
  const at = { bytes: SMALL, base: SMALL, sequence: 4 };
  const next = { messages: [{ bucket: 2, body: 'kept' }] };
  for (const [needed, lost] of [
    [0, 1],
    [SMALL, 0],
  ] as const) {
    const trim: [number, number, number][] = [[RECORD_TRIM, needed, 0]];
    const second = buildSegment(at, [{ ...next, control: trim }, {}]);
    const { report, got } = await repaired({ old: filesOf(first, second) });
    assert.deepEqual([...got.messages.values()], ['2:kept']);
    assert.equal(report.lost.length, lost, `needed from ${needed}`);
  }
});

test('a record whose messages do not fit in it is left out and named, its neighbours are saved', async () => {
  const given = [
    { bucket: 1, body: 'before' },
    { bucket: 2, body: 'abcd' },
    { bucket: 1, body: 'behind' },
  ];
  const record = SEGMENT_DATA_AT + RECORD_HEADER_BYTES + 16; // behind that of "before"
  const body = record + RECORD_HEADER_BYTES;
  const bends: [string, (view: DataView) => void][] = [
    ['a size that leads out of it', (view) => view.setUint32(body, 5, true)],
    ['more messages than there are', (view) => view.setUint32(record + RECORD_COUNT_AT, 2, true)],
    ['a size that is cut off', (view) => view.setUint32(record + RECORD_BODY_BYTES_AT, 3, true)],
  ];
  for (const [what, bend] of bends) {
    const built = buildSegment({ bytes: SMALL }, [{ messages: given }, {}]);
    const { image } = built;
    const view = new DataView(image.buffer);
    bend(view);
    const bytes = view.getUint32(record + RECORD_BODY_BYTES_AT, true);
    view.setUint32(record + RECORD_BODY_CRC_AT, crc32c(image.subarray(body, body + bytes)), true);
    seal(image, record);
    const { report, got } = await repaired({ old: filesOf(built) });
    assert.deepEqual([...got.messages.values()], ['1:before', '1:behind'], what);
    const text = `the messages of the record at offset ${record} do not fit in it: left out`;
    assert.deepEqual(report.problems, [{ segment: segmentName(0), text }], what);
  }
});
