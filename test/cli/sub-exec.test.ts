// `sub --exec` as a program against a scripted broker. Most messages are scripts for the shell that is
// the command: what becomes of one is what its own text says.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_WORKING } from '../../assembly/layout.ts';
import { encodeDelivery } from '../../src/codec/wire.ts';
import { type FakeConsumerLink, FakeExhaust } from '../client/fake-broker.ts';
import { hasPython } from '../clients/python.ts';
import { temporaryFolder } from '../support/broker.ts';
import { MAIN, plainEnvironment, Running, thrustmq } from '../support/process.ts';
import { Terminal } from '../support/terminal.ts';

const noPython = !hasPython && 'python3 is missing';
const skip = process.platform === 'win32' && 'its shell is another';

async function started(...args: string[]) {
  const exhaust = await new FakeExhaust().start();
  const all = [MAIN, 'sub', '7', '-p', String(exhaust.port), ...args];
  const program = new Running(process.execPath, all, { env: plainEnvironment() });
  const link = await exhaust.links.next();
  const end = async () => {
    await program[Symbol.asyncDispose]();
    await exhaust.stop();
  };
  return { exhaust, link, program, [Symbol.asyncDispose]: end };
}

/** The next ack bytes; rejects when the program has ended without them. */
function acks({ program, link }: { program: Running; link: FakeConsumerLink }, count: number) {
  const without = program.ended.then(async ({ stderr }) => {
    await link.closed;
    await sleep(100);
    throw new Error(`ended without ${count} acks: ${stderr}`);
  });
  return Promise.race([link.acks(count), without]);
}

/** A script that waits until there is such a file. */
const until = (file: string) => `while ! test -e '${file}'; do sleep 0.01; done`;
const newFile = () => path.join(temporaryFolder(), 'now');

/** Waits until a process is there no more, or only its entry, which nobody took. */
async function ended(pid: number): Promise<void> {
  for (let looks = 0; ; looks++) {
    assert.ok(looks < 1000, `process ${pid} still runs`);
    let stat: string;
    try {
      stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      return;
    }
    if (/\) [ZX] /.test(stat)) return;
    await sleep(10);
  }
}

describe('sub --exec', { skip, timeout: 60_000 }, () => {
  test('exit codes and signals become ack bytes, in order', async () => {
    const map = ['--exit', '3=retry:30s,4=done', '--exit', '5=release'];
    await using sub = await started('--exec', 'sh', '-b', '20', ...map, '-n', '11');
    assert.equal(sub.link.header.batchSize, 11);
    const codes = [0, 1, 65, 75, 3, 4, 5, 255];
    sub.link.deliver(
      ...codes.map((code) => `exit ${code}`),
      'kill -9 $$',
      'kill -15 $$',
      'echo $THRUSTMQ_BUCKET',
    );
    const bytes = [1, 0, 2, 0x6a, 0x4f, 1, 3, 0, 0, 0x6a, 1];
    assert.deepEqual(await acks(sub, 11), bytes);
    const { code, stdout, stderr } = await sub.program.ended;
    assert.deepEqual([code, stdout], [0, '7\n'], stderr);
    assert.match(stderr, /a command ended with 65: its message is rejected/);
    assert.match(stderr, /received 11 from bucket 7: 3 done, 3 failed, 1 rejected, 3 released/);
    assert.equal(sub.link.acksLeft, 0);
  });

  test('--on-fail says what becomes of the others, signals among them', async () => {
    await using sub = await started('--exec', 'sh', '-b', '3', '-n', '3', '--on-fail', 'reject');
    sub.link.deliver('exit 9', 'kill -9 $$', 'exit 75');
    assert.deepEqual(await acks(sub, 3), [2, 2, 0x6a]);
    assert.equal((await sub.program.ended).code, 0);
  });

  test('a command gets the message as it is', async () => {
    await using sub = await started('--exec', 'cat', '-n', '2', '-b', '2', '-q');
    const bodies = [Buffer.from('no line break'), Buffer.from([0, 10, 13, 0x41])];
    sub.link.socket.write(encodeDelivery(bodies, 'u64'));
    assert.deepEqual(await acks(sub, 2), [1, 1]);
    const { stdout, stderr } = await sub.program.ended;
    assert.deepEqual([stdout, stderr], ['no line break\0\n\rA', '']);
  });

  test('one that reads nothing, or closes its input early, is done all the same', async () => {
    const command = 'exec 0<&-; sleep 0.1';
    for (const exec of ['true', command]) {
      await using sub = await started('--exec', exec, '-n', '2');
      const body = Buffer.alloc(1 << 20, 'x');
      for (let i = 0; i < 2; i++) {
        sub.link.socket.write(encodeDelivery([body], 'u64'));
        assert.deepEqual(await acks(sub, 1), [1]);
      }
      const { code, stderr } = await sub.program.ended;
      assert.deepEqual([code, stderr], [0, 'received 2 from bucket 7: 2 done\n']);
    }
  });

  test('--concurrency runs so many at the same time, and acks stay in order', async () => {
    await using sub = await started('--exec', 'sh', '--concurrency', '3', '-n', '3');
    assert.equal(sub.link.header.batchSize, 3);
    const [first, second] = [newFile(), newFile()];
    sub.link.deliver(
      `${until(first)}; exit 65`,
      `${until(second)}; touch '${first}'`,
      `touch '${second}'; exit 1`,
    );
    assert.deepEqual(await acks(sub, 3), [2, 1, 0]);
  });

  test('--exec-timeout ends a command and what it started', async () => {
    const args = ['--exec', 'sh', '--exec-timeout', '500ms', '--exit', '124=retry:1s', '-n', '1'];
    await using sub = await started(...args);
    sub.link.deliver('sleep 1000 & echo $!; wait');
    assert.deepEqual(await acks(sub, 1), [0x4a]);
    const { code, stdout, stderr } = await sub.program.ended;
    assert.equal(code, 0);
    assert.match(stderr, /a command took too long: its message is retried/);
    await ended(Number(stdout));
  });

  test('SIGTERM waits for what runs and starts nothing more', async () => {
    await using sub = await started('--exec', 'sh', '-b', '3', '--concurrency', '2');
    const file = newFile();
    sub.link.deliver(`echo up; ${until(file)}; echo down`, `${until(file)}; exit 65`, 'echo third');
    await sub.program.output(/up/);
    sub.program.child.kill('SIGTERM');
    fs.writeFileSync(file, '');
    assert.deepEqual(await acks(sub, 2), [1, 2]);
    const { code, stdout } = await sub.program.ended;
    assert.deepEqual([code, stdout], [0, 'up\ndown\n']);
    await sub.link.closed;
    assert.equal(sub.link.acksLeft, 0, 'what had no command is not acked');
  });

  test('a second signal kills what runs, and nothing is acked', async () => {
    await using sub = await started('--exec', 'sh');
    sub.link.deliver('trap "" TERM INT; echo $$; while :; do sleep 1; done');
    const [pid] = await sub.program.output(/\d+(?=\n)/);
    sub.program.child.kill('SIGTERM');
    sub.program.child.kill('SIGINT');
    assert.equal((await sub.program.ended).code, 1);
    await sub.link.closed;
    assert.equal(sub.link.acksLeft, 0);
    await ended(Number(pid));
  });

  test('a terminal that is closed takes commands along', { skip: noPython }, async () => {
    await using exhaust = await new FakeExhaust().start();
    const sub = [MAIN, 'sub', '7', '-p', String(exhaust.port), '--exec', 'sh'];
    await using terminal = new Terminal([process.execPath, ...sub], plainEnvironment());
    const link = await exhaust.links.next();
    link.deliver('echo pid $$; sleep 1000');
    const pid = /pid (\d+)\r/;
    await terminal.shows(pid);
    terminal.signal(constants.signals.SIGHUP);
    assert.equal((await terminal.left()).code, 129);
    await link.closed;
    assert.equal(link.acksLeft, 0);
    await ended(Number(pid.exec(terminal.drawn)![1]));
  });

  test('a lost connection ends commands, whose messages come again', async () => {
    await using sub = await started('--exec', 'sh', '-n', '2');
    sub.link.deliver('echo $$; exec sleep 1000');
    const [pid] = await sub.program.output(/\d+(?=\n)/);
    sub.link.socket.destroy();
    const link = await sub.exhaust.links.next();
    await ended(Number(pid));
    link.deliver('exit 0');
    assert.deepEqual(await acks({ program: sub.program, link }, 1), [1]);
    await sub.program.errorOutput(/was ended by SIGTERM, and its message was gone: it comes again/);
  });

  test('a command that cannot be run ends sub, and says nothing of the message', async () => {
    await using sub = await started('--exec', 'no-such-command-here', '-b', '2');
    sub.link.deliver('a', 'b');
    assert.deepEqual(await acks(sub, 1), [3]);
    const { code, stderr } = await sub.program.ended;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /error: "no-such-command-here" cannot be run: it ended with 127; received 0/,
    );
    await sub.link.closed;
    assert.equal(sub.link.acksLeft, 0);
  });

  test('--working says so while a command runs; without it nothing is said', async () => {
    await using silent = await started('--exec', 'sh', '-n', '1');
    await using sub = await started('--exec', 'sh', '-n', '2', '--working', '50ms');
    const file = newFile();
    sub.link.deliver(`exec 2>&-; ${until(file)}`);
    silent.link.deliver(`${until(file)}; sleep 0.2`);
    assert.deepEqual(await acks(sub, 2), [ACK_WORKING, ACK_WORKING]);
    fs.writeFileSync(file, '');
    let byte = ACK_WORKING;
    while (byte === ACK_WORKING) [byte = 0] = await acks(sub, 1);
    assert.equal(byte, 1);
    assert.deepEqual(await acks(silent, 1), [1]);
    assert.equal(sub.link.acksLeft, 0, 'nothing is unacked');
    sub.link.deliver('exit 0');
    await sub.program.ended;
  });

  test('--wait ends it when nothing comes, not while a command runs', async () => {
    await using sub = await started('--exec', 'sh', '--wait', '1s', '--concurrency', '2');
    sub.link.deliver('sleep 1.5; echo slept', 'true');
    assert.deepEqual(await acks(sub, 2), [1, 1]);
    sub.link.deliver('echo more');
    assert.deepEqual(await acks(sub, 1), [1]);
    const { code, stdout } = await sub.program.ended;
    assert.deepEqual([code, stdout], [0, 'slept\nmore\n']);
  });

  test('options that do not go together are wrong usage', async () => {
    const wrong: [string[], RegExp][] = [
      [['--exec', 'true', '--json'], /--exec prints nothing/],
      [['--exec', 'true', '--no-ack'], /--exec prints nothing/],
      [['--on-fail', 'reject'], /need --exec/],
      [['--concurrency', '2'], /need --exec/],
      [['--exec', 'true', '--on-fail', 'done'], /What failed is not done/],
      [['--exec', 'true', '--exit', '65:reject'], /not like 65=reject/],
      [['--exec', 'true', '--on-fail', 'retry:soon'], /not a duration/],
    ];
    const ends = wrong.map(async ([args, pattern]) => {
      const { code, stderr } = await thrustmq(['sub', '7', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, pattern);
    });
    await Promise.all(ends);
  });
});
