// `pub` and `sub` while the broker is away: what was not sent is not "unknown", and nothing there is
// not the same as nobody there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { MAIN, plainEnvironment, Running, thrustmq } from '../support/process.ts';

function run(args: string[]): Running {
  return new Running(process.execPath, [MAIN, ...args], {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

function bodies(intake: FakeIntake): string[] {
  return intake.stored.map(({ body }) => Buffer.from(body).toString());
}

function counts(stdout: string): Record<string, unknown> {
  const { bucket, ms, bytes, ...rest } = JSON.parse(stdout);
  return rest;
}

test('pub waits for a broker that comes back, and sends the next line to it', async () => {
  await using intake = await new FakeIntake().start();
  await using program = run(['pub', '1', '--json', '-p', String(intake.port)]);
  program.child.stdin?.write('before\n');
  await intake.batches.next();
  await intake.stop();
  await program.errorOutput(/the connection to .* was lost.*; trying again/);
  await intake.start();
  program.child.stdin?.end('after\nthat\n');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(bodies(intake), ['before', 'after', 'that']);
  assert.deepEqual(counts(stdout), { published: 3, refused: 0, unknown: 0 });
});

test('pub: a line that comes during the outage waits for the broker', async () => {
  await using intake = await new FakeIntake().start();
  await using program = run(['pub', '1', '--json', '-p', String(intake.port)]);
  program.child.stdin?.write('before\n');
  await intake.batches.next();
  await intake.stop();
  await program.errorOutput(/trying again/);
  program.child.stdin?.end('meanwhile\n');
  await intake.start();
  const { code, stdout } = await program.ended;
  assert.equal(code, 0);
  assert.deepEqual(bodies(intake), ['before', 'meanwhile']);
  assert.equal(counts(stdout).published, 2);
});

test('pub of several nodes goes on through the next', async () => {
  await using first = await new FakeIntake().start();
  await using second = await new FakeIntake().start();
  const nodes = [first, second].flatMap(({ port }) => ['-H', `127.0.0.1:${port}`]);
  await using program = run(['pub', '1', '--json', ...nodes]);
  program.child.stdin?.write('before\n');
  await first.batches.next();
  await first.stop();
  await program.errorOutput(/trying again/);
  program.child.stdin?.end('after\n');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual([bodies(first), bodies(second)], [['before'], ['after']]);
  assert.equal(counts(stdout).published, 2);
});

test('pub: lines that no broker comes back for are not sent, which is not unknown', async () => {
  await using intake = await new FakeIntake().start();
  const args = ['pub', '1', '--json', '--timeout', '300ms', '-p', String(intake.port)];
  await using program = run(args);
  program.child.stdin?.write('before\n');
  await intake.batches.next();
  await intake.stop();
  await program.errorOutput(/trying again/);
  program.child.stdin?.write('one\ntwo\nhalf');
  // Its input stays open: it ends although nobody writes anything more.
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 69, stderr);
  assert.deepEqual(counts(stdout), { published: 1, refused: 0, unknown: 0, unsent: 3 });
  assert.match(stderr, /3 not sent\n.*did not come back within 300 ms/);
});

test('pub: an answer that is lost ends it at once, not at the next line', async () => {
  await using intake = await new FakeIntake().start();
  intake.reply = ({ socket }) => {
    socket.destroy();
    return undefined;
  };
  await using program = run(['pub', '1', '--json', '-p', String(intake.port)]);
  program.child.stdin?.write('one\ntwo\n');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 69, stderr);
  assert.deepEqual(counts(stdout), { published: 0, refused: 0, unknown: 2 });
  assert.match(stderr, /2 unknown/);
});

test('pub: what stood behind the lost batches is counted as not sent', async () => {
  await using intake = await new FakeIntake().start();
  const seen: number[] = [];
  intake.reply = ({ messages, socket }) => {
    seen.push(messages.length);
    socket.destroy();
    return undefined;
  };
  const large = 'x'.repeat(600_000);
  const args = ['pub', '1', '--batch', '1', '--json', '-p', String(intake.port)];
  await using program = run(args);
  program.child.stdin?.on('error', () => {}); // it leaves before it has read all of this
  program.child.stdin?.end(`${large}\n`.repeat(100));
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 69, stderr);
  const { published, unknown, unsent } = counts(stdout) as Record<string, number>;
  assert.equal(published, 0);
  assert.ok(unknown! >= seen.length, `${unknown} unknown, ${seen.length} arrived`);
  assert.ok(unknown! <= 60, `${unknown} unknown: more than a window of 16 MiB`);
  assert.ok(unsent! > 0, `${unsent} unsent`);
});

for (const flag of ['--wait', '--timeout'])
  test(`sub ${flag}: time that is over during an outage is 69`, async () => {
    await using exhaust = await new FakeExhaust().start();
    await using program = run(['sub', '7', flag, '1s', '-p', String(exhaust.port)]);
    const link = await exhaust.links.next();
    link.deliver('one');
    assert.deepEqual(await link.acks(1), [1]);
    await exhaust.stop();
    const { code, stdout, stderr } = await program.ended;
    assert.equal(code, 69, stderr);
    assert.equal(stdout, 'one\n');
    assert.match(stderr, /was lost.*the time to wait is over; received 1 from bucket 7/);
  });

test('sub --wait: time counts anew when the broker is back', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = run(['sub', '7', '--wait', '2s', '-p', String(exhaust.port)]);
  await exhaust.links.next();
  await exhaust.stop();
  await program.errorOutput(/trying again/);
  await exhaust.start();
  const link = await exhaust.links.next();
  link.deliver('late');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'late\n');
});

test('sub of several nodes goes on through the next', async () => {
  await using first = await new FakeExhaust().start();
  await using second = await new FakeExhaust().start();
  const nodes = `127.0.0.1:${first.port},127.0.0.1:${second.port}`;
  await using program = run(['sub', '7', '--count', '2', '--host', nodes]);
  (await first.links.next()).deliver('one');
  await program.output(/one/);
  await first.stop();
  (await second.links.next()).deliver('two');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'one\ntwo\n');
});

test('nodes that are no hosts are wrong usage', async () => {
  for (const args of [
    ['pub', '1', 'x', '-H', 'a,b:c'],
    ['sub', '1', '-H', 'a,'],
    ['stats', '-H', 'a,b'],
    ['bench', '--server', 'a:1,b'],
  ]) {
    const { code, stderr } = await thrustmq(args);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.match(stderr, /host/);
  }
});

test('sub --wait: a broker that takes connections and is never heard is 69', async () => {
  await using exhaust = await new FakeExhaust().start();
  const args = ['sub', '7', '--wait', '3s', '-p', String(exhaust.port)];
  const { code, stderr } = await thrustmq(args);
  assert.equal(code, 69, stderr);
  assert.match(stderr, /nothing was heard from .*; received 0 from bucket 7/);
});

test('sub --timeout: a connection that is not made in time is 69', async () => {
  // A network for documentation: nobody answers, or the system knows no way there.
  const { code, stderr } = await thrustmq(['sub', '7', '--timeout', '200ms', '-H', '192.0.2.1']);
  assert.equal(code, 69, stderr);
});
