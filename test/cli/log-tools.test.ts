// The verbs `log stat` and `log repair` as programs: output, exit codes, locks, that the old folder
// stays as it was, and a broker that starts on the new one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RECORD_START, SEGMENT_VERSION_AT } from '../../assembly/layout.ts';
import { lockFile } from '../../src/io/lock.ts';
import type { RepairReport } from '../../src/log/tools/repair.ts';
import type { StatReport } from '../../src/log/tools/stat.ts';
import { type Built, buildSegment } from '../log/harness.ts';
import { failedStart, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';
import { type Ended, MAIN, thrustmq } from '../support/process.ts';

const SMALL = 8 * 1024;

function segments(): [Built, Built] {
  const first = buildSegment({ bytes: SMALL }, [
    { control: [[RECORD_START, 1, 1_700_000_000_000]] },
    {
      messages: [
        { bucket: 42, body: 'one' },
        { bucket: 42, body: 'two' },
        { bucket: 7, body: 'other' },
      ],
    },
    { messages: [{ bucket: 42, body: 'lost' }] },
    { settled: [{ sequence: 1, count: 1 }], last: true },
  ]);
  const at = { bytes: SMALL, base: SMALL, epoch: 2, sequence: first.sequence };
  const second = buildSegment(at, [{ messages: [{ bucket: 42, body: 'three' }] }, {}]);
  return [first, second];
}

function damaged(): [Built, Built] {
  const built = segments();
  built[0].image[built[0].offsets[2]! + 60]! ^= 1;
  return built;
}

function dataDir(...built: Built[]): string {
  const folder = path.join(temporaryFolder(), 'data');
  fs.mkdirSync(path.join(folder, 'log'), { recursive: true });
  for (const { name, image } of built) fs.writeFileSync(path.join(folder, 'log', name), image);
  return folder;
}

/** Names, times and bytes of everything in a folder but its lock. */
function contents(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== 'LOCK')
    .sort()
    .map((name) => {
      const file = path.join(folder, name);
      const { mtimeMs, mode } = fs.statSync(file);
      return fs.statSync(file).isDirectory()
        ? `${name} ${mode} ${name === '' ? '' : mtimeMs}`
        : `${name} ${mode} ${mtimeMs} ${fs.readFileSync(file, 'hex')}`;
    });
}

interface Repaired extends Ended {
  into: string;
  report: RepairReport;
}

async function repair(folder: string, ...flags: string[]): Promise<Repaired> {
  const into = path.join(temporaryFolder(), 'a new one');
  const before = contents(folder);
  const args = ['log', 'repair', '-d', folder, '--into', into, '--json', ...flags];
  const ended = await thrustmq(args);
  assert.deepEqual(contents(folder), before, 'the old folder was changed');
  const report = (ended.stdout === '' ? {} : JSON.parse(ended.stdout)) as RepairReport;
  return { ...ended, into, report };
}

async function stat(folder: string): Promise<{ code: number | null; report: StatReport }> {
  const before = contents(folder);
  const { code, stdout } = await thrustmq(['log', 'stat', '-d', folder, '--json']);
  assert.deepEqual(contents(folder), before, 'something was changed');
  return { code, report: JSON.parse(stdout) as StatReport };
}

test('stat: numbers, and exit codes for clean, damaged, unknown and absent', async () => {
  const clean = await stat(dataDir(...segments()));
  assert.equal(clean.code, 0);
  assert.deepEqual(clean.report.live, { messages: 4, bytes: 17 });
  assert.deepEqual(clean.report.buckets.top[0], { bucket: '42', messages: 3, bytes: 12 });
  assert.equal((await stat(dataDir(...damaged()))).code, 1);
  const newer = segments();
  newer[1].image[SEGMENT_VERSION_AT] = 9;
  assert.equal((await stat(dataDir(...newer))).code, 78);
  const nothing = await thrustmq(['log', 'stat', '-d', path.join(temporaryFolder(), 'nowhere')]);
  assert.equal(nothing.code, 74);
  assert.match(nothing.stderr, /there is no log in/);
});

test('stat: the text for people', async () => {
  const folder = dataDir(...damaged());
  const { stdout, stderr } = await thrustmq(['log', 'stat', '-d', folder, '--top', '1']);
  assert.match(stdout, /^log +DAMAGED/m);
  assert.match(stdout, /^segments +2, 16,384 bytes, 0 to 16384$/m);
  assert.match(stdout, /^live +3, 13 bytes of payload$/m);
  assert.match(stdout, /^buckets +2 with live messages\n +42: 2 messages, 8 bytes\noldest/m);
  assert.match(stdout, /^oldest +sequence 2 of bucket 42 at 4208 keeps 0{20}.log$/m);
  assert.match(stderr, /log verify --data-dir /);
  const bad = await thrustmq(['log', 'stat', '-d', folder, '--top', 'many']);
  assert.equal(bad.code, 2);
});

test('repair: a new folder that verifies, and what was saved and lost', async () => {
  const folder = dataDir(...damaged());
  const { code, report, into, stderr } = await repair(folder);
  assert.equal(code, 0, stderr);
  assert.deepEqual(report.saved, { messages: 3, bytes: 13 });
  assert.equal(report.settled, 1);
  const [lost, ...more] = report.lost;
  assert.deepEqual(more, []);
  assert.deepEqual([lost!.fromSequence, lost!.toSequence, lost!.unsettled], ['4', '5', 1]);
  assert.deepEqual(fs.readdirSync(into).sort(), ['LOCK', 'log']);
  const verify = await thrustmq(['log', 'verify', '-d', into]);
  assert.deepEqual([verify.code, verify.stderr], [0, '']);
  assert.match(verify.stdout, /^clean: .* 3 messages/m);
  assert.match(stderr, new RegExp(`thrustmq serve --data-dir '${into}'`));
  assert.match(stderr, /Keep .* until you are satisfied: it was not changed/);
});

test('repair: the text for people names file, offset, bytes and sequences', async () => {
  const built = damaged();
  const folder = dataDir(...built);
  const { stdout, code } = await thrustmq(['log', 'repair', '-d', folder, '--dry-run']);
  assert.equal(code, 0);
  const offset = built[0].offsets[2];
  assert.match(
    stdout,
    new RegExp(
      `^LOST: 64 bytes at offset ${offset} of 0{20}.log \\(log position ${offset}\\), sequences from 4 to before 5, at most 1 messages$`,
      'm',
    ),
  );
  assert.match(stdout, /^could be saved: 3 messages, 13 bytes of payload$/m);
  assert.match(stdout, /^doubtful: .*|settled, left out: 1 messages$/m);
});

test('repair: a dry run writes nothing and says the same', async () => {
  const folder = dataDir(...damaged());
  const dry = await repair(folder, '--dry-run');
  assert.equal(dry.code, 0);
  assert.ok(!fs.existsSync(dry.into));
  const { report } = await repair(folder);
  assert.deepEqual({ ...report, written: null }, dry.report);
});

test('repair: folders that it does not write to', async () => {
  const folder = dataDir(...damaged());
  const into = async (where: string): Promise<Ended> =>
    thrustmq(['log', 'repair', '-d', folder, '--into', where]);
  const full = temporaryFolder();
  fs.writeFileSync(path.join(full, 'mine.txt'), 'kept');
  const cutOff = temporaryFolder();
  fs.mkdirSync(path.join(cutOff, 'log.incomplete'));
  const link = path.join(temporaryFolder(), 'link');
  fs.symlinkSync(folder, link);
  const before = contents(folder);
  for (const [where, text] of [
    [full, /is not empty, it holds mine.txt/],
    [path.join(full, 'mine.txt'), /cannot be used: .*ENOTDIR/],
    [cutOff, /repair that was cut off/],
    [folder, /is in .*which repair does not change/],
    [path.join(folder, 'log', 'new'), /is in .*which repair does not change/],
    [path.join(link, 'new'), /is in .*which repair does not change/],
  ] as const) {
    const { code, stderr } = await into(where);
    assert.deepEqual([code, stderr.split('\n').length], [2, 2], `${where}: ${stderr}`);
    assert.match(stderr, text);
  }
  const linked = ['log', 'repair', '-d', link, '--into', path.join(folder, 'new')];
  assert.equal((await thrustmq(linked)).code, 2);
  assert.deepEqual(contents(folder), before);
  const without = await thrustmq(['log', 'repair', '-d', folder]);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /--into NEWDIR, or --dry-run/);
  const refused = await failedStart({ dataDir: cutOff });
  assert.equal(refused.code, 74);
  assert.match(refused.text, /repair that was cut off/);
});

test('repair: exit codes for a running broker, another version, nothing and no log', async () => {
  const folder = dataDir(...damaged());
  const { release } = lockFile(path.join(folder, 'LOCK'), 'a broker\n');
  const running = await repair(folder);
  release();
  assert.equal(running.code, 75);
  assert.match(running.stderr, /is in use: a broker\. Stop the broker on it first/);
  assert.ok(!fs.existsSync(running.into));

  const newer = segments();
  newer[1].image.fill(0, 4096).fill(9, SEGMENT_VERSION_AT, SEGMENT_VERSION_AT + 1);
  const unknown = await repair(dataDir(...newer));
  assert.equal(unknown.code, 78);
  assert.deepEqual(fs.readdirSync(unknown.into), ['LOCK']);
  const garbage = { ...segments()[0], image: new Uint8Array(SMALL).fill(1) };
  const nothing = await repair(dataDir(garbage));
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /nothing to save/);
  assert.equal((await repair(temporaryFolder())).code, 74);
});

const isRoot = process.getuid?.() === 0;

test('repair: no space, and a read-only original', { skip: !isRoot && 'needs root' }, async () => {
  const small = temporaryFolder();
  const old = temporaryFolder();
  const mount = (options: string, folder: string) =>
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]).status, 0);
  mount('size=8k', small);
  mount('size=1M', old);
  try {
    fs.cpSync(dataDir(...damaged()), old, { recursive: true });
    assert.equal(spawnSync('mount', ['-o', 'remount,ro', old]).status, 0);
    assert.equal((await repair(old)).code, 0);
    const full = await thrustmq(['log', 'repair', '-d', old, '--into', small]);
    assert.equal(full.code, 74, full.stderr);
    assert.match(full.stderr, /(ENOSPC|no space).* is incomplete: remove it/);
    assert.ok(!fs.existsSync(path.join(small, 'log')));
    assert.ok(fs.existsSync(path.join(small, 'log.incomplete')));
  } finally {
    spawnSync('umount', [small]);
    spawnSync('umount', [old]);
  }
});

test('a broker starts on the result: order and counts of deliveries are kept', async () => {
  const dir = path.join(temporaryFolder(), 'data');
  const flags = ['--segment-size', '1MiB', '--max-message', '64KiB', '--reserve', '64KiB'];
  await using first = await startBroker({ dataDir: dir, flags });
  const bodies = Array.from({ length: 60 }, (_, i) => `${i} `.padEnd(50_000, 'x'));
  for (const body of bodies) assert.deepEqual(await publish(first.intake, 5n, [body]), [1]);
  const early = await TestConsumer.join(first.exhaust, 5n, 3);
  assert.deepEqual(texts(await early.batch()), bodies.slice(0, 3));
  early.ack(0, 0, 0); // all three failed
  early.leave();
  assert.equal(await first.stop(), 0);

  const logs = fs.readdirSync(path.join(dir, 'log')).filter((name) => name.endsWith('.log'));
  const middle = path.join(dir, 'log', logs.sort()[1]!);
  const fd = fs.openSync(middle, 'r+');
  fs.writeSync(fd, new Uint8Array(200), 0, 200, 400_000);
  fs.closeSync(fd);
  const refused = await failedStart({ dataDir: dir, flags });
  assert.equal(refused.code, 74);
  assert.match(refused.text, /thrustmq log repair --data-dir DIR --into NEWDIR/);

  const { code, report, into, stderr } = await repair(dir);
  assert.equal(code, 0, stderr);
  assert.equal(report.saved.messages, 59);
  const dump = await thrustmq(['log', 'dump', '-d', into, '--json']);
  const marks = dump.stdout.split('\n').filter((line) => line.includes('"returned"'));
  assert.deepEqual(JSON.parse(marks[0]!).marks, [{ sequence: '1', count: 3, attempts: 1 }]);
  const lost = Number(report.lost[0]!.fromSequence) - 1;
  await using next = await startBroker({ dataDir: into, flags });
  const consumer = await TestConsumer.join(next.exhaust, 5n, 100);
  assert.deepEqual(
    texts(await consumer.take(59)),
    bodies.filter((_, i) => i !== lost),
  );
  consumer.leave();
  assert.deepEqual(await publish(next.intake, 5n, ['goes on']), [1]);
  assert.equal(await next.stop(), 0);
});

test('a repair that is killed leaves the original, and a folder that no broker takes', async () => {
  const folder = dataDir(...damaged());
  const into = path.join(temporaryFolder(), 'new');
  const before = contents(folder);
  // Ends at its last step: the process dies when it would give the log its name.
  const hook = path.join(temporaryFolder(), 'die.mjs');
  fs.writeFileSync(
    hook,
    `import fs from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     fs.renameSync = () => process.kill(process.pid, 'SIGKILL');
     syncBuiltinESMExports();`,
  );
  const args = ['--import', hook, MAIN, 'log', 'repair', '-d', folder, '--into', into];
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(ran.signal, 'SIGKILL', ran.stderr);
  assert.deepEqual(fs.readdirSync(into).sort(), ['LOCK', 'log.incomplete']);
  assert.deepEqual(contents(folder), before);
  assert.equal((await failedStart({ dataDir: into })).code, 74);
  assert.equal((await repair(folder)).code, 0, 'the lock died with its holder');
});
