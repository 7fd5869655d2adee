// Pushing to pages over both transports, as real processes: who may connect, what comes, what a
// page can ask for, and that nothing a page does ends the process. The hub's bounds without a socket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import type { Command, Outcome } from '../../src/contract/commands.ts';
import { Live, SOCKETS_MAX } from '../../src/dashboard/live.ts';
import { DashboardSupervisor } from '../../src/dashboard/supervisor.ts';
import { loadUws } from '../../src/dashboard/uws.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };
const HEALTH = { started: true, live: true, ready: true, checks: {} };
const TOKEN = 'a-token-of-some-length';
const ANSWER = { health: HEALTH, snapshot: fakeSnapshot() };
const uws = await loadUws();

type Frame = { type: string; data: Record<string, unknown> };

/** Frames of a socket, one after the other; waits for those that are not there yet. */
function framesOf(socket: WebSocket): (type: string) => Promise<Frame> {
  const frames: Frame[] = [];
  let wake = () => {};
  socket.on('message', (data) => {
    frames.push(JSON.parse(String(data)));
    wake();
  });
  return async (type) => {
    for (;;) {
      const at = frames.findIndex((frame) => frame.type === type);
      if (at >= 0) return frames.splice(at, 1)[0]!;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

for (const transport of ['uws', 'node'] as const) {
  const skip = transport === 'uws' && typeof uws === 'string' ? `does not load: ${uws}` : false;
  describe(`transport ${transport}`, { skip }, () => {
    let supervisor: DashboardSupervisor;
    let url: string;
    const commands: Command[] = [];

    const start = async (token?: string) => {
      const dashboard = {
        host: '127.0.0.1',
        port: 0,
        transport,
        allowedHosts: [],
        readOnly: false,
        token,
        version: '0',
      };
      const made = new DashboardSupervisor({
        dashboard,
        log: SILENT,
        answer: () => ANSWER,
        command: (command, done) => {
          commands.push(command);
          done({ ok: true, result: { ...command } });
        },
      });
      return { made, address: `127.0.0.1:${await made.first}` };
    };

    before(async () => {
      const { made, address } = await start();
      supervisor = made;
      url = `ws://${address}/api/v1/live`;
    });
    after(() => supervisor.close());

    const refused = async (options: WebSocket.ClientOptions, to = url, protocols?: string[]) => {
      const socket = new WebSocket(to, protocols ?? [], options);
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, never];
      socket.on('error', () => {}).terminate();
      return (response as { statusCode: number }).statusCode;
    };

    test('pushes the overview at once, and then what the page follows', async () => {
      const socket = new WebSocket(url);
      const next = framesOf(socket);
      const { data } = await next('overview');
      assert.equal((data.totals as { publishedMessages: number }).publishedMessages, 12_345);
      assert.equal(data.config, undefined);
      const buckets = { sort: 'age', limit: 5, prefix: '4' };
      socket.send(JSON.stringify({ subscribe: { bucket: '42', buckets } }));
      assert.deepEqual((await next('bucket')).data, { kind: 'bucket', id: '42' });
      assert.deepEqual((await next('buckets')).data, { kind: 'buckets', ...buckets });
      socket.send(JSON.stringify({ subscribe: {} }));
      await next('overview');
      socket.close();
      await once(socket, 'close');
    });

    test('another origin, host or path is refused', async () => {
      const origin = url.replace('ws:', 'http:').replace('/api/v1/live', '');
      assert.equal(await refused({ origin: 'http://evil.example' }), 403);
      assert.equal(await refused({ headers: { host: 'evil.example' } }), 421);
      assert.equal(await refused({}, url.replace('live', 'other')), 404);
      const ours = new WebSocket(url, { origin });
      await once(ours, 'open');
      ours.terminate();
    });

    test('a token is needed where one is set, also as a protocol', async () => {
      const { made, address } = await start(TOKEN);
      const to = `ws://${address}/api/v1/live`;
      assert.equal(await refused({}, to), 401);
      assert.equal(await refused({}, to, ['thrustmq', 'bearer.another-token-of-length']), 401);
      const socket = new WebSocket(to, ['thrustmq', `bearer.${TOKEN}`]);
      await once(socket, 'open');
      assert.equal(socket.protocol, 'thrustmq');
      socket.terminate();
      const plain = new WebSocket(to, { headers: { authorization: `Bearer ${TOKEN}` } });
      await once(plain, 'open');
      plain.terminate();
      await made.close();
    });

    test('nonsense is answered, what is too large closes, the process stays', async () => {
      const { pid } = supervisor;
      const socket = new WebSocket(url);
      const next = framesOf(socket);
      await once(socket, 'open');
      for (const [text, detail] of [
        ['{', /must be JSON/],
        ['null', /must be \{"subscribe"/],
        ['{"subscribe":{"bucket":42}}', /bucket must be an id/],
        ['{"subscribe":{"buckets":{"sort":"size"}}}', /sort is one of/],
      ] as const) {
        socket.send(text);
        assert.match(String((await next('problem')).data.detail), detail);
      }
      socket.send('x'.repeat(5000));
      await once(
        socket.on('error', () => {}),
        'close',
      );
      const [host, port] = new URL(url).host.split(':');
      const raw = net.connect(Number(port), host);
      const head = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
      raw.write(`GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n${head}\r\n`);
      const [reply] = (await once(raw, 'data')) as [Buffer];
      assert.match(String(reply), /^HTTP\/1\.1 4\d\d /);
      raw.destroy();
      assert.equal(supervisor.pid, pid);
      const again = new WebSocket(url);
      await framesOf(again)('overview');
      again.terminate();
    });

    test('a change over HTTP needs its header; bodies end the connection', async () => {
      const pause = `${url.replace('ws:', 'http:').replace('live', 'buckets/1/pause')}`;
      const before = commands.filter(({ kind }) => kind === 'pause').length;
      assert.equal((await fetch(pause, { method: 'POST' })).status, 403);
      assert.equal((await fetch(pause)).status, 405);
      const headers = { 'x-thrustmq-request': '1' };
      const foreign = { ...headers, origin: 'http://evil.example' };
      assert.equal((await fetch(pause, { method: 'POST', headers: foreign })).status, 403);
      const body = await fetch(pause, { method: 'POST', headers, body: 'x'.repeat(100) });
      assert.equal(body.status, 413);
      assert.match(body.headers.get('connection') ?? '', /close/);
      assert.equal(commands.filter(({ kind }) => kind === 'pause').length, before);
      assert.equal((await fetch(pause, { method: 'POST', headers })).status, 200);
      assert.equal(commands.filter(({ kind }) => kind === 'pause').length, before + 1);
    });
  });
}

describe('the hub', () => {
  const hubOf = (
    run: (command: Command) => Promise<Outcome> = async () => ({ ok: true, result: {} }),
  ) => new Live({ host: '127.0.0.1', allowedHosts: [], ask: async () => ANSWER, run });
  const page = () => {
    const seen = { frames: 0, queued: 0, closed: 0 };
    const socket = {
      send: () => {
        seen.frames++;
      },
      queuedBytes: () => seen.queued,
      close: (code: number) => {
        seen.closed = code;
      },
    };
    return { seen, socket };
  };
  const upgrade = { method: 'GET', url: '/api/v1/live', host: 'localhost', hasBody: false };

  test('a page that does not read is skipped, then closed; others go on', async () => {
    const hub = hubOf();
    const [slow, quick] = [page(), page()];
    const followers = [slow, quick].map(({ socket }) => hub.open(socket));
    slow.seen.queued = 1e6;
    for (let i = 0; i < 30; i++) await hub.push();
    assert.ok(slow.seen.frames <= 1);
    assert.equal(slow.seen.closed, 1013);
    assert.ok(quick.seen.frames >= 28);
    for (const follower of followers) follower.closed();
    assert.equal(hub.count, 0);
  });

  test('so many pages and no more', () => {
    const hub = hubOf();
    const followers = Array.from({ length: SOCKETS_MAX }, () => {
      assert.equal(hub.refusal(upgrade, undefined), undefined);
      return hub.open(page().socket);
    });
    assert.equal(hub.refusal(upgrade, undefined)?.status, 503);
    for (const follower of followers) follower.closed();
    assert.equal(hub.refusal(upgrade, undefined), undefined);
  });

  test('what many follow is asked for once, and one thing at a time', async () => {
    let running = 0;
    let most = 0;
    let asked = 0;
    const hub = hubOf(async () => {
      asked++;
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return { ok: true, result: {} };
    });
    const followers = Array.from({ length: 20 }, () => hub.open(page().socket));
    await hub.push();
    followers.forEach((follower, i) => {
      follower.message(`{"subscribe":{"bucket":"${i % 4}"}}`);
    });
    await hub.push();
    asked = 0;
    await hub.push();
    assert.deepEqual([asked, most], [4, 1]);
    for (const follower of followers) follower.closed();
  });
});
