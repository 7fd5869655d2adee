// The peers of the benchmarks: their protocols at any split, who is compared with whom, that what
// was started ends, and each peer that this machine has under a little load.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Bed } from '../../bench/bed.ts';
import { Confirms, frames } from '../../bench/peers/amqp.ts';
import { answers } from '../../bench/peers/beanstalk.ts';
import type { KeepSpec } from '../../bench/peers/keep.ts';
import { reader } from '../../bench/peers/nats.ts';
import { busy, comparisons, peers } from '../../bench/peers/peers.ts';
import { decimal } from '../../bench/peers/protocol.ts';
import { acknowledgement, command, replies } from '../../bench/peers/redis.ts';
import { startSystem } from '../../bench/peers/running.ts';
import { SYSTEMS } from '../../bench/peers/systems.ts';
import type { Figure } from '../../bench/samples.ts';
import { Running } from '../support/process.ts';

const dir = await mkdtemp(join(tmpdir(), 'thrustmq-peers-'));
after(() => rm(dir, { recursive: true, force: true }));

/** What `read` makes of a stream in chunks of every size; the same for each of them. */
function atEverySplit(
  stream: Buffer,
  make: (log: string[]) => (chunk: Uint8Array) => void,
): string[] {
  let first: string[] | undefined;
  for (let size = 1; size <= stream.length; size++) {
    const log: string[] = [];
    const read = make(log);
    // Bytes are lent: whoever keeps them finds others in their place.
    const lent = new Uint8Array(size);
    for (let at = 0; at < stream.length; at += size) {
      const chunk = stream.subarray(at, at + size);
      lent.set(chunk);
      read(lent.subarray(0, chunk.length));
      lent.fill(0xff);
    }
    first ??= log;
    assert.deepEqual(log, first, `chunks of ${size}`);
  }
  return first!;
}

describe('protocols at any split', () => {
  test('numbers', () => {
    assert.equal(decimal(Buffer.from('123\r\n'), 0), 123);
    assert.equal(decimal(Buffer.from('x-1\r\n'), 1), -1);
    assert.equal(decimal(Buffer.from('\r\n'), 0), 0);
  });

  test('Redis', () => {
    const stream = Buffer.from(
      '$3\r\n5-0\r\n:7\r\n*-1\r\n*1\r\n*2\r\n$1\r\ns\r\n*2\r\n' +
        '*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\nd\r\n$4\r\na\r\nb\r\n' +
        '*2\r\n$3\r\n6-0\r\n*2\r\n$1\r\nd\r\n$0\r\n\r\n-ERR no\r\n+OK\r\n*0\r\n',
    );
    const log = atEverySplit(stream, (out) =>
      replies({
        onBulk: (bytes, from, to) => out.push(JSON.stringify(bytes.toString('latin1', from, to))),
        onReply: () => out.push('reply'),
        onError: (text) => out.push(text),
      }),
    );
    const read = ['"s"', '"5-0"', '"d"', '"a\\r\\nb"', '"6-0"', '"d"', '""', 'reply'];
    const others = ['ERR no', 'reply', 'reply', 'reply'];
    assert.deepEqual(log, ['"5-0"', 'reply', 'reply', 'reply', ...read, ...others]);
    const expected = [
      command('XACK', 'bench', 'g', '5-0', '10-12'),
      command('XTRIM', 'bench', 'MINID', '~', '10-12'),
    ];
    assert.equal(acknowledgement(['5-0', '10-12']), Buffer.concat(expected).toString());
  });

  test('NATS', () => {
    const stream = Buffer.from(
      'INFO {"a":1}\r\nPING\r\nMSG in 1 6\r\nab\r\ncd\r\nMSG s 1 reply.to 0\r\n\r\n' +
        'HMSG in 1 26 26\r\nNATS/1.0 408 Timed out\r\n\r\n\r\nHMSG in 1 r 14 15\r\n' +
        'NATS/1.0\r\n\r\n\r\nxyz\r\n-ERR no\r\n',
    );
    const log = atEverySplit(stream, (out) =>
      reader(
        {
          onMessage: (bytes, from, to, reply) =>
            out.push(`${JSON.stringify(bytes.toString('latin1', from, to))} ${reply}`),
          onStatus: (status) => out.push(status),
          onPing: () => out.push('ping'),
          onError: (text) => out.push(text),
        },
        true,
      ),
    );
    const headed = `${JSON.stringify('NATS/1.0\r\n\r\n\r\nxyz'.slice(0, 15))} r`;
    assert.deepEqual(log, ['ping', '"ab\\r\\ncd" ', '"" reply.to', '408', headed, 'ERR no']);
  });

  test('beanstalkd', () => {
    const stream = Buffer.from('INSERTED 1\r\nRESERVED 23 4\r\na\r\nb\r\nDELETED\r\nDRAINING\r\n');
    const log = atEverySplit(stream, (out) =>
      answers({
        onInserted: () => out.push('inserted'),
        onReserved: (id) => out.push(`reserved ${id}`),
        onDeleted: () => out.push('deleted'),
        onError: (text) => out.push(text),
      }),
    );
    assert.deepEqual(log, ['inserted', 'reserved 23', 'deleted', 'DRAINING']);
  });

  test('AMQP', () => {
    const frame = (type: number, ...payload: number[]): number[] => [
      ...[type, 0, 1, 0, 0, 0, payload.length],
      ...payload,
      0xce,
    ];
    const size = (bytes: number): number[] => [0, 0, 0, 0, 0, 0, 0, bytes];
    const stream = Buffer.from([
      ...frame(1, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 9, 1),
      ...[...frame(1, 0, 60, 0, 60, 1), ...frame(2, 0, 60, 0, 0, ...size(5), 0, 0)],
      ...[...frame(3, 1, 2, 3), ...frame(8), ...frame(3, 4, 0xce)],
      ...frame(2, 0, 60, 0, 0, ...size(0), 0, 0),
    ]);
    const log = atEverySplit(stream, (out) =>
      frames({
        onMethod: (name, bytes, at) => out.push(`${name >> 16}.${name & 0xffff} ${bytes[at]}`),
        onBody: () => out.push('body'),
        onError: (text) => out.push(text),
      }),
    );
    assert.deepEqual(log, ['60.80 0', '60.60 1', 'body', 'body']);
  });

  test('confirms, single, early and several at once', () => {
    const confirms = new Confirms();
    const steps: [number, boolean, number][] = [
      [1, false, 1],
      [4, false, 1], // before 2 and 3
      [3, true, 2],
      [4, true, 0], // known already
      [6, false, 1],
      [8, true, 3],
      [9, false, 1],
    ];
    for (const [tag, multiple, expected] of steps)
      assert.equal(confirms.take(tag, multiple), expected, `${tag}`);
  });
});

describe('comparing', () => {
  const synced = 'synced before the ack' as const;
  const unsynced = 'acked before the sync' as const;
  const entrant = (name: string, guarantee: typeof synced | typeof unsynced, rates: number[]) => ({
    ...{ name, guarantee, rates, ours: name === 'ours' },
    missing: rates.length === 0 ? 'absent: nowhere' : undefined,
  });

  test('with the best that promises as much or less, and the best that promises as much', () => {
    const figures = comparisons('work', [
      entrant('ours', synced, [40, 50, 60]),
      entrant('slow', synced, [1, 1, 1]),
      entrant('good', synced, [4, 5, 5]),
      entrant('loose', unsynced, [10, 10, 20]),
      entrant('nowhere', synced, []),
    ]);
    const shown = figures.map(({ name, samples }) => [name, samples]);
    assert.deepEqual(shown, [
      ['work: ours ÷ best peer (loose)', [4, 5, 3]],
      ['work: ours ÷ best that syncs as well (good)', [10, 10, 12]],
    ]);
  });

  test('with nobody', () => {
    assert.deepEqual(comparisons('work', [entrant('ours', synced, [1])]), []);
    assert.equal(busy([undefined]), '');
    const cores = [
      { server: 0.5, client: 0.2 },
      { server: 1, client: 0.4 },
    ];
    assert.equal(busy([...cores, undefined]), 'server 0.75, client 0.30 cores');
  });
});

describe('keeping a server', () => {
  const KEEP = fileURLToPath(new URL('../../bench/peers/keep.js', import.meta.url));
  const spec = (script: string, port = 1): KeepSpec => ({
    folder: join(dir, 'kept'),
    files: { 'some/file': 'text' },
    programs: [{ file: process.execPath, args: ['-e', script], env: {} }],
    port,
    withinMs: 60_000,
  });

  test('one that ends at once is named with what it wrote', async () => {
    const script = 'console.error("the port is taken"); process.exitCode = 3';
    const keeper = spawn(process.execPath, [KEEP, JSON.stringify(spec(script))]);
    let said = '';
    keeper.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    await new Promise((done) => keeper.once('close', done));
    assert.match(said, /"event":"failed".*ended with 3: the port is taken/);
    assert.equal(existsSync(join(dir, 'kept')), false);
  });

  test('when whoever wanted it is gone, it ends with all it started, and its folder', async () => {
    const server = 'require("net").createServer().listen(+process.env.PORT,"127.0.0.1",said)';
    const child =
      'require("child_process").spawn(process.execPath, ["-e","setInterval(()=>{},9)"])';
    const said = 'function said(){require("fs").writeFileSync("pids",process.pid+" "+child.pid)}';
    const port = await freePort();
    const wanted = spec(`const child=${child};${said};${server}`, port);
    wanted.programs[0].env = { PORT: String(port) };
    // Dies without a word, as by a signal that nobody can catch.
    const owner = `
      const child = require('child_process').spawn(process.execPath, process.argv.slice(1),
        { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
      child.stdout.on('data', (text) => {
        process.stdout.write(text);
        if (/ready/.test(text)) process.kill(process.pid, 'SIGKILL');
      });`;
    await using running = new Running(process.execPath, [
      ...['-e', owner, KEEP, JSON.stringify(wanted)],
    ]);
    await running.output(/"ready"/);
    const pids = (await readFile(join(dir, 'kept', 'pids'), 'utf8').catch(() => '')).split(' ');
    await running.ended;
    for (const until = Date.now() + 10_000; existsSync(join(dir, 'kept')); await nextTurn())
      assert.ok(Date.now() < until, 'the folder is still there');
    // Where the folder was gone before it was looked into, the processes were gone before that.
    for (const pid of pids.filter((text) => text !== ''))
      assert.equal(await isRunning(Number(pid)), false, `process ${pid}`);
  });
});

const [redis] = SYSTEMS;
const noRedis = redis.find();
test('an interrupted run takes its peers along', {
  skip: 'absent' in noRedis ? noRedis.absent : false,
}, async () => {
  const place = join(dir, 'interrupted');
  const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
  const args = ['peers', '--peers', 'redis', '--runs', '1', '--seconds', '5', '--warmup', '0'];
  await using running = new Running(process.execPath, [RUN, ...args, '--dir', place]);
  await running.errorOutput(/run 1 of 1: Redis/);
  const servers = async (): Promise<string[]> =>
    (await processesOf(place)).filter((line) => /^\d+ [^ \0]*redis-server/.test(line));
  for (const until = Date.now() + 30_000; (await servers()).length === 0; await nextTurn())
    assert.ok(Date.now() < until, 'the server did not start');
  running.child.kill('SIGINT');
  await running.ended;
  for (const until = Date.now() + 10_000; (await processesOf(place)).length > 0; await nextTurn())
    assert.ok(Date.now() < until, (await processesOf(place)).join());
  for (const name of await readdir(place)) assert.doesNotMatch(name, /redis/, 'left behind');
  await rm(place, { recursive: true, force: true });
});

describe('peers of this machine', () => {
  for (const system of SYSTEMS) {
    const found = system.find();
    const skip = 'absent' in found ? found.absent : false;
    test(`${system.name} does the work and leaves nothing`, { skip }, async () => {
      const { figures, remarks } = await measured(system.key);
      assert.equal(figures.length, 3 * 3); // ours, theirs and the ratio for each work
      for (const { name, absent, median } of figures) {
        assert.equal(absent, undefined, name);
        assert.ok(median > 0, name);
      }
      const theirs = figures.filter(({ bar }) => bar !== undefined && !bar.ours);
      for (const { bar, note } of theirs) {
        assert.equal(bar?.guarantee, system.guarantee);
        assert.match(note!, /server \d+\.\d\d, client \d+\.\d\d cores/);
      }
      assert.match(remarks.join('\n'), new RegExp(`${system.name} \\d+\\.\\d+`));
      assert.deepEqual(await readdir(dir), []);
    });

    test(`${system.name} ends with everything that it started`, { skip }, async () => {
      assert.ok('file' in found);
      const running = await startSystem(system, found.file, dir);
      const marked = await processesOf(running.folder);
      assert.ok(marked.length > 0);
      await running.stop();
      assert.equal(existsSync(running.folder), false);
      assert.deepEqual(await processesOf(running.folder), []);
    });
  }

  test('one that is absent is named in the table', { skip: namesAll() }, async () => {
    const options = { dir, runs: 1, seconds: 0.1, warmupSeconds: 0, idle: 1, note: () => {} };
    const missing = SYSTEMS.filter((system) => 'absent' in system.find()).map(({ key }) => key);
    const figures = await peers.measure(new Bed({ ...options, peers: missing }), () => {});
    const rows = figures.filter(({ absent }) => absent !== undefined);
    assert.equal(rows.length, 3 * missing.length);
    assert.ok(
      rows.every(({ absent, samples }) => /^absent: /.test(absent!) && samples.length === 0),
    );
  });
});

/** A busy machine may let nothing through in a short window; none of this is about speed. */
async function measured(key: string): Promise<{ figures: Figure[]; remarks: string[] }> {
  const options = { dir, runs: 1, warmupSeconds: 0.1, idle: 1, note: () => {}, peers: [key] };
  for (const seconds of [0.5, 2, 8]) {
    const remarks: string[] = [];
    const bed = new Bed({ ...options, seconds });
    const figures = await peers
      .measure(bed, (text) => remarks.push(text))
      .catch((error: Error) => {
        if (!NOTHING_CAME.test(error.message)) throw error;
      });
    if (figures?.every(({ absent }) => !NOTHING_CAME.test(absent ?? '')))
      return { figures, remarks };
  }
  throw new Error('not one message came through in a window of 8 s');
}

const NOTHING_CAME = /not one message came through/;

function namesAll(): string | false {
  const all = SYSTEMS.every((system) => 'file' in system.find());
  return all ? 'every peer is there' : false;
}

const nextTurn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** Processes, but for zombies, that work in this folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !(await isRunning(Number(name)))) continue;
    const environment = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '');
    const line = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '');
    const place = await readlink(`/proc/${name}/cwd`).catch(() => ''); // Redis hides the others
    if ([environment, line, place].some((text) => text.includes(folder)))
      found.push(`${name} ${line}`);
  }
  return found;
}

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/\) Z /.test(stat);
}

async function freePort(): Promise<number> {
  const net = await import('node:net');
  const server = net.createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
