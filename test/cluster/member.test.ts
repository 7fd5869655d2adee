// A node's part in the stream with real logs and brokers, two of them in one process over a stream
// in memory: what becomes of a node whose ownership ends in two ways at once.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Bases } from '../../src/cluster/bases.ts';
import { layoutOf } from '../../src/cluster/identity.ts';
import { LocalLog } from '../../src/cluster/local-log.ts';
import { Member } from '../../src/cluster/member.ts';
import { Standing } from '../../src/cluster/standing.ts';
import type { ClusterConfig } from '../../src/config/cluster.ts';
import { loadConfig } from '../../src/config/load.ts';
import { StreamRoom } from '../../src/core/cluster/stream-room.ts';
import type { ReplicatedStream, StreamMessage } from '../../src/core/ports/stream.ts';
import { DataFolder } from '../../src/data-folder.ts';
import { Clock } from '../../src/io/clock.ts';
import type { Logger } from '../../src/io/logger.ts';
import { Listeners } from '../../src/io/tcp/listeners.ts';
import { surroundings } from '../../src/opening.ts';
import { cancel, every } from '../../src/time/timers.ts';
import { temporaryFolder } from '../support/broker.ts';

const LOG_ID = 77n;
const TIMES = { ttlMs: 400, ownMs: 200, beatMs: 50 };
const TICK_MS = 10;
const SEGMENT_BYTES = 8 * 1024 * 1024;
const STREAM_BYTES = 1024 * 1024 * 1024;

class Stream {
  readonly messages: Uint8Array[] = [];
  readonly stored = new EventEmitter().setMaxListeners(0);

  /** As one node reaches it; nothing comes through while it `isCut`. */
  port(): ReplicatedStream & { isCut: boolean } {
    const { messages, stored } = this;
    const soon = (call: () => void) => void setImmediate(call);
    const port = {
      isCut: false,
      append: (envelope, body, expect, done) => {
        const bytes = Buffer.concat([envelope, body ?? envelope.subarray(0, 0)]);
        soon(() => {
          if (port.isCut) done({ ok: false, why: 'unknown' });
          else if (expect !== messages.length) done({ ok: false, why: 'expected' });
          else {
            done({ ok: true, sequence: messages.push(bytes) });
            stored.emit('message');
          }
        });
      },
      follow: (from, hear) => {
        let next = from;
        let mayHear = true;
        const more = () => {
          while (mayHear && !port.isCut && next <= messages.length)
            mayHear = hear(messageOf(messages, next++));
        };
        stored.on('message', more);
        soon(more);
        const resume = () => {
          mayHear = true;
          soon(more);
        };
        return { resume, stop: () => void stored.off('message', more) };
      },
      read: (sequence, done) =>
        soon(() => {
          if (port.isCut) done(new Error('cut off'));
          else if (sequence > messages.length) done(undefined);
          else done(undefined, messageOf(messages, sequence));
        }),
      state: (done) =>
        soon(() => {
          if (port.isCut) done(new Error('cut off'));
          else done(undefined, { first: 1, last: messages.length, bytes: 0, created: 'then' });
        }),
      purge: (_before, done) => soon(() => done(undefined)),
      connected: () => true,
    } as ReplicatedStream & { isCut: boolean };
    return port;
  }
}

function messageOf(messages: Uint8Array[], sequence: number): StreamMessage {
  return { sequence, bytes: messages[sequence - 1]! };
}

async function memberOf(stream: Stream, node: number) {
  const dataDir = temporaryFolder();
  const { config } = await loadConfig({
    flags: { data_dir: dataDir, segment_size: SEGMENT_BYTES, memory: 300 * 1024 * 1024 },
    environment: {},
    workingDir: dataDir,
    terminal: false,
  });
  const events = new EventEmitter().setMaxListeners(0);
  const stops: string[] = [];
  const owners: (number | undefined)[] = [];
  const line = ({ event }: { event?: string }) => void events.emit(event ?? 'line');
  const log = Object.fromEntries(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, line]),
  ) as unknown as Logger;
  const clock = new Clock();
  const folder = new DataFolder({ config, log, version: 'test' });
  const around = { ...surroundings(clock), logId: LOG_ID };
  const keeper = { advance: () => {}, end: async () => {} };
  const bases = { build: async () => undefined, keeper: () => keeper } as unknown as Bases;
  const opening = { config, log, folder, around, bases, syncedTo: () => undefined };
  const port = stream.port();
  const identity = { node, life: `life ${node}`, address: `127.0.0.1:${node}`, dashboard: null };
  const member = new Member({
    ...opening,
    cluster: { name: 'test', node, ...TIMES } as ClusterConfig,
    version: 'test',
    life: {
      config,
      log,
      version: 'test',
      clock,
      dataDir: () => dataDir,
      listeners: new Listeners(),
    },
    stream: new StreamRoom(port, STREAM_BYTES, SEGMENT_BYTES),
    maxPayload: 1024 * 1024,
    identity: { ...identity, version: 'test', ...layoutOf(config) },
    local: await LocalLog.open(opening),
    standing: new Standing(undefined, []),
    events: {
      owner: (who) => void owners.push(who?.node),
      stop: (code, why) => void stops.push(`${code}: ${why.message}`),
    },
  });
  member.join();
  const ticks = every(TICK_MS, () => {
    member.tick(performance.now());
    events.emit('tick');
  });
  after(async () => {
    cancel(ticks);
    await member.end();
    member.life?.end();
    folder.release();
  });
  const until = async (state: string) => {
    while (member.ownership.state !== state && stops.length === 0) await once(events, 'tick');
  };
  const said = (event: string) => once(events, event);
  return {
    member,
    port,
    dataDir,
    stops,
    owners,
    until,
    said,
    foldersOpen: () => foldersOpen(dataDir),
  };
}

// Folders of a data folder that this process has open, each as often as it does.
function foldersOpen(dataDir: string): string[] {
  const names = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return path.relative(dataDir, fs.readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return ''; // that of the listing itself
    }
  });
  return names.filter((name) => name === 'log' || name === 'index').sort();
}

/** `one` has owned the log and was cut off, `two` owns it, and `one` has just learned that. */
async function deposedOwner() {
  const stream = new Stream();
  const one = await memberOf(stream, 1);
  await one.until('owning');
  const { life } = one.member;
  const two = await memberOf(stream, 2);
  await two.until('following');
  one.port.isCut = true;
  await two.until('owning');
  const deposed = one.said('cluster.deposed');
  one.port.isCut = false;
  await deposed;
  return { one, two, life };
}

test('an owner that steps down, and finds that another one was first, follows', async () => {
  const { one, two, life } = await deposedOwner();
  // Its broker has ended in order meanwhile, and its log is being opened anew.
  one.member.stepDown(life!, 1000);
  await one.until('following');
  assert.deepEqual(one.stops, []);
  if (process.platform === 'linux')
    assert.deepEqual(one.foldersOpen(), ['index', 'log'], 'of the log before nothing is open');
  assert.equal(two.member.ownership.state, 'owning');
});

test('an owner that was followed by another one knows that before it reads the stream again', async () => {
  const { one } = await deposedOwner();
  assert.equal(one.member.ownership.state, 'deposed');
  assert.deepEqual([one.owners, one.member.owner?.node], [[1, undefined, 2], 2]);
  await one.until('following');
  assert.deepEqual(one.owners, [1, undefined, 2], 'and is told nothing else');
});

test('consumers wait for an owner that is suspended, and producers are served', async () => {
  const stream = new Stream();
  const one = await memberOf(stream, 1);
  await one.until('owning');
  const sides = () =>
    (['intake', 'exhaust'] as const).filter((side) => one.member.life?.accept(side));
  assert.deepEqual(sides(), ['intake', 'exhaust']);
  one.port.isCut = true;
  await one.until('suspended');
  assert.deepEqual(sides(), ['intake']);
  one.port.isCut = false;
  await one.until('owning');
  assert.deepEqual(sides(), ['intake', 'exhaust']);
});

// Files of its log that this process has open.
function logsOpen(dataDir: string): string[] {
  return fs
    .readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return path.relative(dataDir, fs.readlinkSync(`/proc/self/fd/${fd}`));
      } catch {
        return ''; // that of the listing itself
      }
    })
    .filter((name) => /^log\/.*\.log$/.test(name));
}

test('a candidate that is stopped closes the log that it had taken over', async () => {
  const stream = new Stream();
  const one = await memberOf(stream, 1);
  await one.until('following');
  // Its broker has begun with the first append, of which it never hears.
  const begun = new Promise<void>((resolve) => {
    one.port.isCut = true;
    const { append } = one.port;
    one.port.append = (...said) => {
      append(...said);
      resolve();
    };
  });
  await begun;
  assert.equal(one.member.ownership.state, 'campaigning');
  assert.equal(one.member.life, undefined, 'it serves nobody');
  assert.notDeepEqual(logsOpen(one.dataDir), []);
  await one.member.end();
  assert.deepEqual(one.stops, []);
  assert.deepEqual(logsOpen(one.dataDir), []);
});
