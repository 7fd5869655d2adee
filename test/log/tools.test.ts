// The verbs `log verify` and `log dump` as programs: output, exit codes, and that they change nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { RECORD_START } from '../../assembly/layout.ts';
import { lockFile } from '../../src/io/lock.ts';
import type { DumpEntry, RecordEntry } from '../../src/log/tools/dump.ts';
import type { VerifyReport } from '../../src/log/tools/verify.ts';
import { thrustmq } from '../support/process.ts';
import { type Built, buildSegment } from './harness.ts';

const SMALL = 8 * 1024;
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-tools-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

function segments(): Built[] {
  const first = buildSegment({ bytes: SMALL }, [
    { control: [[RECORD_START, 1, 1_700_000_000_000]] },
    {
      messages: [
        { bucket: 42, body: 'text' },
        { bucket: 42, body: Buffer.from([0xff, 0x00]) },
        { bucket: 7, body: 'other' },
      ],
    },
    { settled: [{ sequence: 1, count: 2 }], last: true },
  ]);
  const at = { bytes: SMALL, base: SMALL, epoch: 2, sequence: first.sequence };
  return [first, buildSegment(at, [{ messages: [{ bucket: 7, body: 'second' }] }])];
}

let folders = 0;

function dataDir(...built: Built[]): string {
  const folder = path.join(root, String(++folders));
  fs.mkdirSync(path.join(folder, 'log'), { recursive: true });
  for (const { name, image } of built) fs.writeFileSync(path.join(folder, 'log', name), image);
  return folder;
}

function contents(folder: string): string[] {
  const log = path.join(folder, 'log');
  return fs.readdirSync(log).map((name) => {
    const file = path.join(log, name);
    return `${name} ${fs.statSync(file).mtimeMs} ${fs.readFileSync(file, 'hex')}`;
  });
}

async function verify(
  folder: string,
): Promise<{ code: number | null; report: VerifyReport; stderr: string }> {
  const before = contents(folder);
  const { code, stdout, stderr } = await thrustmq([
    'log',
    'verify',
    '--data-dir',
    folder,
    '--json',
  ]);
  assert.deepEqual(contents(folder), before, 'a byte was changed');
  return { code, report: JSON.parse(stdout) as VerifyReport, stderr };
}

async function dump(folder: string, ...flags: string[]): Promise<DumpEntry[]> {
  const before = contents(folder);
  const { code, stdout, stderr } = await thrustmq([
    'log',
    'dump',
    '-d',
    folder,
    '--json',
    ...flags,
  ]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(contents(folder), before, 'a byte was changed');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DumpEntry);
}

test('verify: exit codes for clean, torn, damaged, missing, unknown and unreadable', async () => {
  const clean = await verify(dataDir(...segments()));
  assert.deepEqual([clean.code, clean.report.verdict, clean.stderr], [0, 'clean', '']);
  assert.equal(clean.report.messages, 4);

  const torn = segments();
  torn[1]!.image[torn[1]!.offsets[1]! - 8]! ^= 1;
  assert.deepEqual(pick(await verify(dataDir(...torn))), [0, 'torn']);

  const damaged = segments();
  damaged[0]!.image[damaged[0]!.offsets[1]! + 60]! ^= 1;
  assert.deepEqual(pick(await verify(dataDir(...damaged))), [1, 'damaged']);

  assert.deepEqual(pick(await verify(dataDir(segments()[0]!))), [1, 'damaged']);

  const newer = segments();
  newer[1]!.image[8] = 9;
  assert.equal((await verify(dataDir(...newer))).code, 78);

  const nothing = await thrustmq(['log', 'verify', '-d', path.join(root, 'nowhere')]);
  assert.equal(nothing.code, 74);
  assert.match(nothing.stderr, /there is no log in/);
  assert.ok(!fs.existsSync(path.join(root, 'nowhere')), 'it made the folder');
});

function pick({ code, report }: { code: number | null; report: VerifyReport }): unknown[] {
  return [code, report.verdict];
}

test('verify: the text for people names segment, offset, sequences and verdict', async () => {
  const built = segments();
  const [first] = built as [Built];
  first.image[first.offsets[1]! + 60]! ^= 1;
  const { code, stdout, stderr } = await thrustmq(['log', 'verify', '-d', dataDir(...built)]);
  assert.equal(code, 1);
  const offset = first.offsets[1]!;
  assert.match(
    stdout,
    new RegExp(
      `offset ${offset} \\(log position ${offset}\\).*sequences from 1 to before 3: DAMAGED`,
    ),
  );
  assert.match(stdout, /^DAMAGED: 4 batches, /m);
  assert.match(stderr, /nothing was changed/);
});

test('verify: says so when a broker has the folder, and does not take the lock itself', async () => {
  const folder = dataDir(...segments());
  const { release } = lockFile(path.join(folder, 'LOCK'), 'me\n');
  const running = await verify(folder);
  release();
  if (fs.existsSync('/proc/locks')) assert.match(running.stderr, /a broker is running/);
  assert.equal(running.code, 0);
  assert.equal((await verify(folder)).stderr, '');
});

test('dump: an entry for each record, numbers of 64 bits as strings', async () => {
  const entries = await dump(dataDir(...segments()));
  assert.deepEqual(
    entries.map(({ type }) => type),
    [
      ...['segment', 'start', 'commit', 'messages', 'messages', 'commit', 'settled', 'commit'],
      ...['segment', 'messages', 'commit'],
    ],
  );
  const messages = entries[3] as RecordEntry;
  assert.deepEqual(messages, {
    type: 'messages',
    segment: '00000000000000000000.log',
    offset: 4208,
    position: '4208',
    flags: ['proof'],
    epoch: 1,
    batch: '4208',
    bodyBytes: 14,
    bucket: '42',
    firstSequence: '1',
    lastSequence: '2',
    count: 2,
    attempts: 0,
  });
  assert.deepEqual((entries[6] as RecordEntry).marks, [{ sequence: '1', count: 2 }]);
  assert.deepEqual((entries[7] as RecordEntry).flags, ['proof', 'last']);
  assert.equal((entries[9] as RecordEntry).position, String(SMALL + 4096));
});

test('dump: bodies as text or base64, one bucket, one segment', async () => {
  const folder = dataDir(...segments());
  const [only, ...rest] = (await dump(folder, '--bucket', '42', '--bodies')) as RecordEntry[];
  assert.deepEqual(rest, []);
  assert.deepEqual(only!.messages, [
    { sequence: '1', bytes: 4, encoding: 'utf8', body: 'text' },
    { sequence: '2', bytes: 2, encoding: 'base64', body: '/wA=' },
  ]);
  for (const which of ['1', '00000000000000008192.log']) {
    const entries = await dump(folder, '--segment', which);
    assert.ok(entries.length === 3 && entries.every(({ segment }) => segment.includes('8192')));
  }
  const none = await thrustmq(['log', 'dump', '-d', folder, '--segment', '2']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /there is no segment 2/);
});

test('dump: a bad spot is one entry, and what is behind it is there', async () => {
  const built = segments();
  built[0]!.image[built[0]!.offsets[1]! + 60]! ^= 1;
  const entries = await dump(dataDir(...built));
  const gap = entries.find(({ type }) => type === 'gap');
  assert.deepEqual(gap, {
    type: 'gap',
    segment: '00000000000000000000.log',
    offset: 4208,
    position: '4208',
    bytes: 72,
  });
  assert.equal(entries.filter(({ type }) => type === 'messages').length, 2);
});

test('dump: text lines', async () => {
  const folder = dataDir(...segments());
  const { stdout } = await thrustmq(['log', 'dump', '-d', folder, '--bodies']);
  assert.match(
    stdout,
    /^4208 messages \[proof\] epoch 1 batch 4208 bucket 42 sequences 1-2 attempts 0, 14 bytes\n {2}1 "text"\n {2}2 base64 \/wA=$/m,
  );
});
