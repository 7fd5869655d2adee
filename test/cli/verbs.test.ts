// `pub`, `sub` and `stats` as programs against a scripted broker.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { MAIN, plainEnvironment, Running, thrustmq } from '../support/process.ts';
import { fakeSnapshot } from './fake-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq-verbs-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(args: string[]): Running {
  return new Running(process.execPath, [MAIN, ...args], {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

function bodies(intake: FakeIntake): string[] {
  return intake.stored.map(({ body }) => Buffer.from(body).toString('latin1'));
}

for (const wire of ['u64', 'u32'] as const)
  test(`pub sends its arguments and says goodbye, wire ${wire}`, async () => {
    await using intake = await new FakeIntake(wire).start();
    const args = ['pub', '0xff', 'hello', 'wörld', '--wire', wire, '-p', String(intake.port)];
    const { code, stdout, stderr } = await thrustmq(args);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /^published 2 to bucket 255 in /);
    assert.deepEqual(
      intake.stored.map(({ bucket, body }) => [bucket, Buffer.from(body).toString()]),
      [
        [255n, 'hello'],
        [255n, 'wörld'],
      ],
    );
    await intake.goodbyes.next();
  });

test('pub sends files as they are and standard input as lines', async () => {
  await using intake = await new FakeIntake().start();
  const file = join(folder, 'binary');
  writeFileSync(file, Buffer.from([0, 255, 10, 13]));
  await thrustmq(['pub', '1', '--file', file, '-p', String(intake.port)]);
  assert.deepEqual(bodies(intake), ['\x00\xff\n\r']);
  intake.stored.length = 0;

  await using lines = run(['pub', '1', '--json', '-p', String(intake.port)]);
  lines.child.stdin?.end('a\n\nb b\nc');
  const { code, stdout, stderr } = await lines.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(bodies(intake), ['a', 'b b', 'c']);
  const { ms, ...result } = JSON.parse(stdout);
  assert.equal(typeof ms, 'number');
  assert.deepEqual(result, { bucket: '1', published: 3, refused: 0, unknown: 0, bytes: 5 });
  assert.match(stderr, /1 empty lines skipped/);
});

test('pub does not wait for a full batch when its input pauses', async () => {
  await using intake = await new FakeIntake().start();
  await using program = run(['pub', '1', '--quiet', '-p', String(intake.port)]);
  program.child.stdin?.write('first\n');
  const { messages } = await intake.batches.next();
  assert.equal(Buffer.from(messages[0].body).toString(), 'first');
  program.child.stdin?.end();
  const { code, stderr } = await program.ended;
  assert.deepEqual([code, stderr], [0, '']);
});

test('pub keeps order and counts over many batches', async () => {
  await using intake = await new FakeIntake().start();
  await using program = run(['pub', '1', '--json', '--batch', '100', '-p', String(intake.port)]);
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}`);
  program.child.stdin?.end(lines.join('\n'));
  const { stdout } = await program.ended;
  assert.equal(JSON.parse(stdout).published, 20_000);
  assert.deepEqual(bodies(intake), lines);
});

test('pub exits 1 when a message was refused and says which number', async () => {
  await using intake = await new FakeIntake().start();
  intake.reply = ({ messages }) => Uint8Array.from(messages, (_, index) => (index === 1 ? 0 : 1));
  const args = ['pub', '1', 'a', 'b', 'c', '--json', '-p', String(intake.port)];
  const { code, stdout, stderr } = await thrustmq(args);
  assert.equal(code, 1);
  const { published, refused } = JSON.parse(stdout);
  assert.deepEqual([published, refused], [2, 1]);
  assert.match(stderr, /1 refused/);
});

test('pub exits 69 and counts as unknown what was on the wire when the broker went', async () => {
  await using intake = await new FakeIntake().start();
  intake.reply = ({ socket }) => {
    socket.destroy();
    return undefined;
  };
  const args = ['pub', '1', 'a', 'b', '--json', '-p', String(intake.port)];
  const { code, stdout, stderr } = await thrustmq(args);
  assert.equal(code, 69, stderr);
  const { published, unknown } = JSON.parse(stdout);
  assert.deepEqual([published, unknown], [0, 2]);
  assert.match(stderr, /2 unknown/);
});

test('pub gives up on a broker that never acks', async () => {
  await using intake = await new FakeIntake().start();
  intake.reply = () => undefined;
  const args = ['pub', '1', 'a', '--timeout', '200ms', '-p', String(intake.port)];
  const { code, stderr } = await thrustmq(args);
  assert.equal(code, 69, stderr);
  assert.match(stderr, /no ack/);
});

test('sub prints, then acks; --count ends it', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = run(['sub', '7', '--count', '3', '-p', String(exhaust.port)]);
  const link = await exhaust.links.next();
  assert.equal(link.header.bucket, 7n);
  assert.equal(link.header.batchSize, 3);
  link.heartbeat();
  assert.deepEqual(await link.acks(1), [1]);
  link.deliver('one', 'two');
  assert.deepEqual(await link.acks(2), [1, 1]);
  link.deliver('three', 'not asked for');
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'one\ntwo\nthree\n');
  assert.deepEqual(await link.acks(1), [1]);
  await link.closed;
  assert.equal(link.acksLeft, 0, 'what was not printed is not acked');
});

test('sub --no-ack prints one batch and gives it back', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = run(['sub', '7', '--no-ack', '-p', String(exhaust.port)]);
  const link = await exhaust.links.next();
  link.deliver('one', 'two');
  const { code, stdout } = await program.ended;
  assert.deepEqual([code, stdout], [0, 'one\ntwo\n']);
  await link.closed;
  assert.equal(link.acksLeft, 0);
});

test('sub writes bodies as JSON, in hexadecimal or raw', async () => {
  const text = async (flag: string): Promise<string> => {
    await using exhaust = await new FakeExhaust('u32').start();
    await using program = run([
      'sub',
      '7',
      '-n',
      '1',
      '--wire',
      'u32',
      flag,
      '-p',
      String(exhaust.port),
    ]);
    (await exhaust.links.next()).deliver('é\n');
    return (await program.ended).stdout;
  };
  assert.deepEqual(JSON.parse(await text('--json')), {
    bucket: '7',
    bytes: 3,
    encoding: 'utf8',
    body: 'é\n',
  });
  assert.equal(await text('--hex'), 'c3a90a\n');
  assert.equal(await text('--raw'), 'é\n');
});

test('sub stops on SIGINT, politely and with 0', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = run(['sub', '7', '-n', '9', '-p', String(exhaust.port)]);
  const link = await exhaust.links.next();
  link.deliver('one');
  await program.output(/one/);
  assert.deepEqual(await link.acks(1), [1]);
  program.child.kill('SIGINT');
  const { code, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /received 1 from bucket 7/);
});

test('sub --wait ends when nothing comes; too few is 1', async () => {
  await using exhaust = await new FakeExhaust().start();
  const port = String(exhaust.port);
  assert.equal((await thrustmq(['sub', '7', '--wait', '50ms', '-p', port])).code, 0);
  assert.equal((await thrustmq(['sub', '7', '--wait', '50ms', '-n', '1', '-p', port])).code, 1);
  assert.equal((await thrustmq(['sub', '7', '--timeout', '50ms', '-n', '1', '-p', port])).code, 1);
});

test('sub whose reader goes away ends with 0 and acks nothing it could not write', async () => {
  await using exhaust = await new FakeExhaust().start();
  await using program = run(['sub', '7', '-p', String(exhaust.port)]);
  const link = await exhaust.links.next();
  link.deliver('one');
  await program.output(/one/);
  assert.deepEqual(await link.acks(1), [1]);
  program.child.stdout?.destroy();
  const ended = new Promise((resolve) => program.child.once('exit', resolve));
  link.deliver('lost');
  assert.equal(await ended, 0);
  await link.closed;
  assert.equal(link.acksLeft, 0);
});

async function dashboard(
  listener: http.RequestListener,
): Promise<{ port: string } & AsyncDisposable> {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: String((server.address() as AddressInfo).port),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('stats shows the snapshot as tables or as it is', async () => {
  const urls: (string | undefined)[] = [];
  await using page = await dashboard((request, response) => {
    urls.push(request.url);
    response.setHeader('content-type', 'application/json');
    // The clock was set a day on meanwhile.
    const now = '2026-01-03T03:05:05.000Z';
    response.end(JSON.stringify(fakeSnapshot({ warning: 'acks are weaker', now })));
  });
  const table = await thrustmq(['stats', '-p', page.port]);
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /published +│ +11 │ +12,345/);
  assert.match(table.stdout, /, up 1 m 0 s, /);
  assert.match(table.stdout, /warning: acks are weaker/);
  assert.match(table.stdout, /42 +│ +9 │ +2 │ +0 │ +1/);
  assert.match(table.stdout, /log 64 MiB, of it live 1 MiB, indexes 4 KiB/);
  assert.match(table.stdout, /3 compactions wrote 2 KiB; 21 cold reads of 64 KiB/);
  assert.match(table.stdout, /the oldest message waits in bucket 4711/);
  assert.match(table.stdout, /1 B of 512 MiB memory/);
  assert.match(table.stdout, /^1 buckets: 9 ready/m);
  assert.ok(!table.stdout.includes('\u001b['), 'no colour in a pipe');
  const { stdout } = await thrustmq(['stats', '--json', '-p', page.port]);
  assert.equal(JSON.parse(stdout).totals.publishedMessages, 12_345);
  assert.equal(stdout.split('\n').length, 2);
  assert.deepEqual(urls, ['/dash', '/dash']);
});

test('stats --watch goes on until its reader leaves', async () => {
  await using page = await dashboard((_request, response) => {
    response.end(JSON.stringify(fakeSnapshot()));
  });
  await using program = run(['stats', '--json', '--watch', '100ms', '-p', page.port]);
  await program.output(/\n.*\n.*\n/);
  const ended = new Promise((resolve) => program.child.once('exit', resolve));
  program.child.stdout?.destroy();
  assert.equal(await ended, 0);
});

test('stats: what is no snapshot is unreachable', async () => {
  for (const [status, body, pattern] of [
    [503, '{"detail":"the broker is starting"}', /the broker is starting/],
    [200, '<html>', /is not the dashboard/],
    [200, '{}', /OK/],
  ] as const) {
    await using page = await dashboard((_request, response) => {
      response.writeHead(status).end(body);
    });
    const { code, stderr } = await thrustmq(['stats', '-p', page.port]);
    assert.equal(code, 69, stderr);
    assert.match(stderr, pattern);
  }
});
