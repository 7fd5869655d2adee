// The verb `bench`: results on standard output, progress on standard error, exit codes.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FaultyBroker } from '../load/faulty.ts';
import { type Ended, MAIN, plainEnvironment, Running } from '../support/process.ts';

const dir = await mkdtemp(join(tmpdir(), 'thrustmq-bench-'));
after(() => rm(dir, { recursive: true, force: true }));

const start = (args: readonly string[]): Running =>
  new Running(process.execPath, [MAIN, 'bench', ...args], { env: plainEnvironment() });
const bench = (...args: string[]): Promise<Ended> => start(args).ended;

function at(broker: FaultyBroker): string[] {
  const { host, intakePort, exhaustPort } = broker.plan();
  const ports = ['--intake-port', `${intakePort}`, '--exhaust-port', `${exhaustPort}`];
  return ['--server', host, ...ports];
}

test('a private broker, verified, as a table; nothing stays', async () => {
  const { code, stdout, stderr } = await bench(
    '--spawn',
    '--dir',
    dir,
    '--count',
    '3000',
    '--verify',
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /publish → ack +│ +3,000 │/);
  assert.match(stdout, /→ delivery +│ +3,000 │/);
  assert.match(stdout, /x 28,000\/s/);
  assert.match(stdout, /verified: 0 lost, 0 duplicates, 0 disordered, 0 damaged/);
  assert.deepEqual(await readdir(dir), []);
});

test('one JSON object with plan, flows and multiples', async () => {
  await using broker = await FaultyBroker.start();
  const load = ['--count', '600', '--size', '1KiB', '--batch', '100', '--rate', '100000/s'];
  const { code, stdout, stderr } = await bench(...at(broker), ...load, '--json');
  assert.equal(code, 0, stderr);
  const { plan, publish, consume, leftMessages } = JSON.parse(stdout);
  assert.equal(plan.messageBytes, 1024);
  assert.equal(plan.firstBucket, '7000000');
  assert.equal(plan.inFlight, 256);
  assert.equal(publish.messages, 600);
  assert.equal(publish.multipleOf28k, publish.msgPerSecond / 28_000);
  assert.equal(publish.latencyMs.count, 6);
  assert.ok(consume.endToEndMs.count > 0);
  assert.equal(leftMessages, 0);
});

test('what stays in the broker is said', async () => {
  await using broker = await FaultyBroker.start();
  const args = ['--consumers', '0', '--count', '500', '--first-bucket', '9'];
  const { code, stderr } = await bench(...at(broker), ...args);
  assert.equal(code, 0);
  assert.match(stderr, /500 messages stay in the broker, bucket 9/);
});

test('progress goes to standard error in lines; an interrupt still sums up', async () => {
  await using broker = await FaultyBroker.start();
  await using running = start([
    ...at(broker),
    '--duration',
    '10m',
    '--warmup',
    '0',
    '--batch',
    '10',
  ]);
  await running.errorOutput(/ measure +published [\d,]+\/s +delivered/);
  running.child.kill('SIGINT');
  const { code, stdout } = await running.ended;
  assert.equal(code, 0);
  assert.match(stdout, /interrupted/);
});

test('exit 1 when verifying finds something', async () => {
  await using broker = await FaultyBroker.start({ deliver: (all) => [...all, all[0]] });
  const { code, stdout } = await bench(
    ...at(broker),
    '--verify',
    '--count',
    '100',
    '--batch',
    '10',
  );
  assert.equal(code, 1);
  assert.match(stdout, /FAILED: 0 lost, 10 duplicates/);
});

test('exit 1 when messages are refused', async () => {
  await using broker = await FaultyBroker.start({ stored: () => false });
  const { code, stderr } = await bench(...at(broker), '--consumers', '0', '--count', '100');
  assert.equal(code, 1);
  assert.match(stderr, /100 messages were refused/);
});

test('exit 69 when nothing answers', async () => {
  const broker = await FaultyBroker.start();
  const where = at(broker);
  await broker[Symbol.asyncDispose]();
  const { code, stderr, stdout } = await bench(...where, '--duration', '1s');
  assert.equal(code, 69);
  assert.match(stderr, /nothing answers at 127\.0\.0\.1:\d+: ECONNREFUSED/);
  assert.equal(stdout, '');
});

const WRONG: [string[], RegExp][] = [
  [['--batch', '70000'], /batch must be a whole number from 1 to 65536/],
  [['--verify', '--consumers', '0'], /to verify/],
  [['--size', 'huge'], /is not a size/],
  [['--duration', '10'], /is not a duration/],
  [['--rate', '10/min'], /messages per second/],
  [['--producers', '-1'], /whole number/],
  [['--wire', 'u16'], /u64 or u32/],
  [['--spawn', '--server', 'localhost'], /makes its own broker/],
];

for (const [args, expected] of WRONG)
  test(`exit 2 for ${args.join(' ')}`, async () => {
    const { code, stderr } = await bench(...args);
    assert.equal(code, 2);
    assert.match(stderr, expected);
  });
