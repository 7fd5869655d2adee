// The Python quickstart clients against the scripted broker, as commands and as modules.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { hasPython, PYTHON_CLIENTS, runPython } from './python.ts';

const PRODUCER = join(PYTHON_CLIENTS, 'producer.py');
const CONSUMER = join(PYTHON_CLIENTS, 'consumer.py');
const windows = process.platform === 'win32' && 'its arguments are text';
const skip = !hasPython && 'python3 is missing: clients/python is not tested';

const on = (port: number, ...args: string[]) => ['--port', `${port}`, ...args];
const stored = (intake: FakeIntake) =>
  intake.stored.map(({ bucket, body }) => `${bucket} ${Buffer.from(body)}`);

async function unusedPort(): Promise<number> {
  const intake = await new FakeIntake().start();
  await intake.stop();
  return intake.port;
}

describe('producer.py', { skip }, () => {
  for (const wire of ['u64', 'u32'] as const)
    test(`sends a few messages and prints their acks, wire ${wire}`, async () => {
      await using intake = await new FakeIntake(wire).start();
      const python = runPython([PRODUCER, ...on(intake.port, '--wire', wire)]);
      await intake.goodbyes.next();
      const { code, stdout } = await python.ended;
      assert.equal(code, 0);
      assert.match(stdout, /^acks 1 1 1 1 1\n5 stored, 0 refused, \d+ messages\/s\n$/);
      assert.deepEqual(
        stored(intake),
        [0, 1, 2, 3, 4].map((n) => `1 message ${n}`),
      );
    });

  test('sends its own text, once', async () => {
    await using intake = await new FakeIntake().start();
    const bucket = '18446744073709551615';
    const { code } = await runPython([PRODUCER, ...on(intake.port, '--bucket', bucket, 'grüße')])
      .ended;
    assert.equal(code, 0);
    assert.deepEqual(stored(intake), [`${bucket} grüße`]);
  });

  test('cuts --count into batches of --batch, of --size bytes', async () => {
    await using intake = await new FakeIntake().start();
    const args = on(intake.port, '--count', '25', '--batch', '10', '--size', '12');
    const { code, stdout } = await runPython([PRODUCER, ...args]).ended;
    assert.equal(code, 0);
    const sizes: number[] = [];
    while (intake.batches.size > 0) sizes.push((await intake.batches.next()).messages.length);
    assert.deepEqual(sizes, [10, 10, 5]);
    assert.equal(stored(intake)[0], '1 message 0...');
    for (const { body } of intake.stored) assert.equal(body.length, 12);
    assert.match(stdout, /acks 25 of 25\n25 stored, 0 refused/);
  });

  test('counts refusals, reads split acks, exits 1', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket }) => {
      socket.write(Uint8Array.of(1));
      setImmediate(() => socket.write(Uint8Array.of(0, 1, 1, 1)));
      return undefined;
    };
    const { code, stdout } = await runPython([PRODUCER, ...on(intake.port)]).ended;
    assert.equal(code, 1);
    assert.match(stdout, /^acks 1 0 1 1 1\n4 stored, 1 refused/);
  });

  test('takes the first of several nodes that is there', async () => {
    await using intake = await new FakeIntake().start();
    const hosts = `127.0.0.1:${await unusedPort()},[::1]:${await unusedPort()},127.0.0.1`;
    const { code } = await runPython([PRODUCER, '--host', hosts, ...on(intake.port, 'x')]).ended;
    assert.equal(code, 0);
    assert.deepEqual(stored(intake), ['1 x']);
  });

  test('says that the broker is unreachable and exits 69', async () => {
    const port = await unusedPort();
    const { code, stderr } = await runPython([PRODUCER, ...on(port)]).ended;
    assert.equal(code, 69);
    assert.match(stderr, new RegExp(`^broker at 127.0.0.1:${port}: .*refused\n0 messages were`));
  });

  test('says that the connection was lost before the acks and exits 69', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = ({ socket }) => {
      socket.end();
      return undefined;
    };
    const { code, stderr } = await runPython([PRODUCER, ...on(intake.port)]).ended;
    assert.equal(code, 69);
    assert.match(stderr, /closed the connection before it had acked/);
  });

  test('stores an argument that is not UTF-8 as it is', { skip: windows }, async () => {
    await using intake = await new FakeIntake().start();
    const script = `import subprocess, sys
sys.exit(subprocess.run([sys.executable, *sys.argv[1:], b"caf\\xe9"]).returncode)`;
    const python = runPython(['-c', script, PRODUCER, ...on(intake.port)]);
    const { code, stderr } = await python.ended;
    assert.equal(code, 0, stderr);
    assert.equal(Buffer.from(intake.stored[0]!.body).toString('hex'), '636166e9');
  });

  test('what is stored does not depend on who reads its output', async () => {
    await using intake = await new FakeIntake().start();
    const python = runPython([PRODUCER, ...on(intake.port)]);
    python.child.stdout?.destroy();
    const { code, stderr } = await python.ended;
    assert.deepEqual([code, stderr, intake.stored.length], [0, '', 5]);
  });

  test('wrong usage exits 2 and sends nothing', async () => {
    for (const args of [
      ['--bucket', '-1'],
      ['--batch', '0'],
      ['--bucket', `${2n ** 64n}`],
    ]) {
      const { code, stderr } = await runPython([PRODUCER, ...args]).ended;
      assert.equal(code, 2);
      assert.match(stderr, /--bucket is 0 to 2\^64-1/);
    }
  });
});

describe('consumer.py', { skip }, () => {
  for (const wire of ['u64', 'u32'] as const)
    test(`prints, acks, answers heartbeats, stops at --count, wire ${wire}`, async () => {
      await using exhaust = await new FakeExhaust(wire).start();
      const args = on(
        exhaust.port,
        '--wire',
        wire,
        '--bucket',
        '7',
        '--batch',
        '2',
        '--count',
        '3',
      );
      const python = runPython([CONSUMER, ...args]);
      const link = await exhaust.links.next();
      assert.deepEqual([link.header.bucket, link.header.batchSize], [7n, 2]);
      link.heartbeat();
      assert.deepEqual(await link.acks(1), [1]);
      link.deliver('hello', 'grüße');
      assert.deepEqual(await link.acks(2), [1, 1]);
      link.deliver('three', 'not taken');
      assert.deepEqual(await link.acks(1), [1]);
      const { code, stdout, stderr } = await python.ended;
      assert.equal(code, 0);
      assert.equal(stdout, 'hello\ngrüße\nthree\n');
      assert.equal(stderr, '3 messages received\n');
      assert.equal(link.acksLeft, 0);
    });

  test('reads frames that come in pieces, bytes that are no text included', async () => {
    await using exhaust = await new FakeExhaust().start();
    const python = runPython([CONSUMER, ...on(exhaust.port, '--count', '1')]);
    const link = await exhaust.links.next();
    const length = [3, 0, 0, 0, 0, 0, 0, 0];
    for (const byte of [1, 0, 0, 0, ...length, 0x61, 0xff, 0x62]) {
      link.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await link.acks(1), [1]);
    assert.equal((await python.ended).stdout, 'a\\xffb\n');
  });

  for (const [encoding, euro] of [
    ['ascii', '\\u20ac'],
    ['latin-1', '\\u20ac'],
    ['utf-8', '€'],
  ])
    test(`escapes what its output cannot show: ${encoding}`, async () => {
      await using exhaust = await new FakeExhaust().start();
      const env = { PYTHONIOENCODING: encoding };
      const python = runPython([CONSUMER, ...on(exhaust.port, '--count', '2')], env);
      const link = await exhaust.links.next();
      link.deliver('5 €', 'after it');
      assert.deepEqual(await link.acks(2), [1, 1]);
      const { code, stdout } = await python.ended;
      assert.deepEqual([code, stdout], [0, `5 ${euro}\nafter it\n`]);
    });

  test('acks nothing that it could not print', async () => {
    await using exhaust = await new FakeExhaust().start();
    for (const [target, complaint] of [
      ['>&-', /standard output is closed/],
      ...(existsSync('/dev/full') ? [['>/dev/full', /cannot write to standard output/]] : []),
    ] as [string, RegExp][]) {
      const script = `import subprocess, sys
sys.exit(subprocess.run(["sh", "-c", 'exec "$0" "$@" ${target}', *sys.argv[1:]]).returncode)`;
      const program = ['python3', CONSUMER, ...on(exhaust.port)];
      const python = runPython(['-c', script, ...program]);
      const link = target === '>/dev/full' ? await exhaust.links.next() : undefined;
      link?.deliver('into the void');
      const { code, stderr } = await python.ended;
      assert.equal(code, 1, stderr);
      assert.match(stderr, complaint);
      await link?.closed;
      assert.equal(link?.acksLeft ?? 0, 0);
    }
  });

  test('Ctrl-C ends it cleanly', async () => {
    await using exhaust = await new FakeExhaust().start();
    const python = runPython([CONSUMER, ...on(exhaust.port)]);
    const link = await exhaust.links.next();
    link.deliver('one');
    assert.deepEqual(await link.acks(1), [1]);
    python.child.kill('SIGINT');
    const { code, stdout, stderr } = await python.ended;
    assert.deepEqual([code, stdout, stderr], [0, 'one\n', '1 messages received\n']);
    await link.closed;
  });

  test('ends cleanly, without an ack, when nobody reads its output', async () => {
    await using exhaust = await new FakeExhaust().start();
    const python = runPython([CONSUMER, ...on(exhaust.port)]);
    const link = await exhaust.links.next();
    python.child.stdout?.destroy();
    link.deliver('into the void');
    const { code, stderr } = await python.ended;
    assert.deepEqual([code, stderr], [0, '0 messages received\n']);
    await link.closed;
    assert.equal(link.acksLeft, 0);
  });

  test('says that the broker is unreachable, or went away, and exits 69', async () => {
    const port = await unusedPort();
    const never = await runPython([CONSUMER, ...on(port)]).ended;
    assert.equal(never.code, 69);
    assert.match(never.stderr, new RegExp(`^broker at 127.0.0.1:${port}: .*refused`));
    await using exhaust = await new FakeExhaust().start();
    const python = runPython([CONSUMER, ...on(exhaust.port)]);
    (await exhaust.links.next()).socket.end();
    const gone = await python.ended;
    assert.equal(gone.code, 69);
    assert.match(gone.stderr, /closed the connection/);
  });
});

describe('as modules', { skip }, () => {
  test('ten lines publish and consume', async () => {
    await using intake = await new FakeIntake().start();
    await using exhaust = await new FakeExhaust().start();
    const program = `
from producer import Producer
from consumer import Consumer
with Producer(port=${intake.port}) as producer:
    print(producer.send(7, [b"hello", b"world"]), producer.send(7, []))
with Consumer(port=${exhaust.port}, bucket=7) as consumer:
    for body in consumer:
        print(body)
        if body == b"stop":
            break
`;
    const python = runPython(['-c', program]);
    await intake.goodbyes.next();
    const link = await exhaust.links.next();
    link.deliver('go', 'stop', 'never');
    const { code, stdout, stderr } = await python.ended;
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, "[True, True] []\nb'go'\nb'stop'\n");
    await link.closed;
    assert.deepEqual(await link.acks(1), [1]); // go; the loop never asked beyond stop
    assert.equal(link.acksLeft, 0);
  });

  test('a handler says what becomes of a message, by what it returns or raises', async () => {
    await using exhaust = await new FakeExhaust().start();
    const program = `
from consumer import Consumer, REJECTED, RELEASED, retry
consumer = Consumer(port=${exhaust.port}, bucket=7)
def handle(body):
    if body == b"work":
        consumer.working()
    if body == b"stop":
        raise KeyboardInterrupt
    return eval(body)
errors = {ZeroDivisionError: REJECTED, LookupError: retry(30, charge=False)}
try:
    consumer.run(handle, errors)
except KeyboardInterrupt:
    consumer.close()
`;
    const python = runPython(['-c', program]);
    const link = await exhaust.links.next();
    const bodies: [string, number][] = [
      ['None', 1],
      ['True', 1],
      ['False', 0],
      ['REJECTED', 2],
      ['RELEASED', 3],
      ['retry(0)', 0x40],
      ['retry(30)', 0x4f],
      ['retry(30, charge=False)', 0x6f],
      ['retry(2147483.648)', 0x5f],
      ['1/0', 2],
      ['{}[1]', 0x6f],
      ['open("/no such file")', 0],
      ['retry(-1)', 0],
      ['retry(2147484)', 0],
    ];
    link.deliver(...bodies.map(([body]) => body), 'work', 'stop');
    const expected = bodies.map(([, byte]) => byte);
    assert.deepEqual(await link.acks(bodies.length), expected);
    assert.deepEqual(await link.acks(2), [0xff, 0]); // work, and no such name
    const { code, stderr } = await python.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /FileNotFoundError.*ValueError: a delay is 0 to .*NameError/s);
    await link.closed;
    assert.equal(link.acksLeft, 0);
  });

  test('what is no answer is not sent', async () => {
    await using exhaust = await new FakeExhaust().start();
    const program = `
from consumer import Consumer
with Consumer(port=${exhaust.port}, bucket=7) as consumer:
    consumer.receive()
    for answer in (b"", b"\\1\\1", b"\\xff"):
        try:
            consumer.ack(answer)
        except ValueError as error:
            print(error)
    consumer.ack()
`;
    const python = runPython(['-c', program]);
    const link = await exhaust.links.next();
    link.deliver('x');
    assert.deepEqual(await link.acks(1), [1]);
    const { stdout } = await python.ended;
    assert.deepEqual(stdout.trim().split('\n'), [
      "b'' is no answer",
      "b'\\x01\\x01' is no answer",
      "b'\\xff' is no answer",
    ]);
    assert.equal(link.acksLeft, 0);
  });
});
