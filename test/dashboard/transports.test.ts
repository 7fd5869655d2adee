// Both HTTP servers of the dashboard as real processes behind a real supervisor: the same requests,
// well-formed and not, must get the same replies and must never end the process.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../../src/dashboard/messages.ts';
import { DashboardSupervisor } from '../../src/dashboard/supervisor.ts';
import { loadUws } from '../../src/dashboard/uws.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { raw } from '../support/raw-http.ts';

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };
const HEALTH = { started: true, live: true, ready: true, checks: {} };

const uws = await loadUws();
if (typeof uws === 'string') console.error(`uWebSockets.js does not load here: ${uws}`);

function start(transport: 'uws' | 'node', answer: () => Answer): DashboardSupervisor {
  const dashboard = {
    host: '127.0.0.1',
    port: 0,
    transport,
    allowedHosts: [],
    readOnly: false,
    version: '0',
  };
  return new DashboardSupervisor({ dashboard, log: SILENT, answer });
}

for (const transport of ['uws', 'node'] as const) {
  const skip = transport === 'uws' && typeof uws === 'string' ? `does not load: ${uws}` : false;
  describe(`transport ${transport}`, { skip }, () => {
    let supervisor: DashboardSupervisor;
    let port: number;
    let snapshots = 0;

    before(async () => {
      supervisor = start(transport, () => {
        snapshots += 1;
        return { health: HEALTH, snapshot: fakeSnapshot() };
      });
      const bound = await supervisor.first;
      assert.ok(bound);
      port = bound;
    });
    after(() => supervisor.close());

    const fetchPath = (path: string, init: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${port}${path}`, init);

    test('listens on the address it was given and on no other', async () => {
      assert.equal((await fetchPath('/livez')).status, 200);
      await assert.rejects(fetch(`http://127.0.0.2:${port}/livez`));
    });

    test('answers with status, headers and body of the router', async () => {
      const reply = await fetchPath('/dash');
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get('content-type'), 'application/json');
      assert.equal(reply.headers.get('x-content-type-options'), 'nosniff');
      assert.match(reply.headers.get('content-security-policy') ?? '', /default-src 'none'/);
      const text = await reply.text();
      assert.equal(reply.headers.get('content-length'), String(Buffer.byteLength(text)));
      assert.equal(JSON.parse(text).totals.publishedMessages, 12_345);
      assert.equal(await (await fetchPath('/livez?verbose')).text(), '{"ok":true,"checks":{}}');
      assert.equal((await fetchPath('/none')).status, 404);
    });

    test('HEAD is GET without the body', async () => {
      const text = await raw(port, 'HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.match(text, /content-length: 3\r\n/i);
      assert.ok(text.endsWith('\r\n\r\n'), text);
    });

    test('other methods and bodies are refused and their connection closed', async () => {
      for (const method of ['POST', 'PUT', 'DELETE'])
        assert.equal((await fetchPath('/dash', { method })).status, 405);
      const body = 'x'.repeat(1_000_000);
      const host = 'Host: localhost\r\n';
      const length = `Content-Length: ${body.length}\r\n`;
      const post = await raw(port, `POST /dash HTTP/1.1\r\n${host}${length}\r\n${body}`);
      if (post !== '') assert.match(post, /^HTTP\/1\.1 405 /);
      const get = await raw(port, `GET /dash HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc`);
      assert.match(get, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
    });

    test('who offers another protocol gets the answer in this one', async () => {
      const offer =
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk';
      for (const [path, status] of [
        ['/livez', 200],
        ['/dash', 200],
        ['/none', 404],
        ['/api/v1/live', 426],
      ]) {
        const text = await raw(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${offer}\r\n\r\n`);
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), `${path}: ${text}`);
      }
      const change = `POST /api/v1/buckets/7/pause HTTP/1.1\r\nHost: localhost\r\n${offer}\r\n\r\n`;
      assert.match(await raw(port, change), /^HTTP\/1\.1 403 /);
    });

    test('a foreign or missing Host learns nothing', async () => {
      for (const path of ['/', '/dash', '/page.js', '/none']) {
        const text = await raw(port, `GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 421 /);
        assert.ok(!text.includes('12345'));
      }
      const old = await raw(port, 'GET /dash HTTP/1.0\r\n\r\n');
      assert.match(old, /^HTTP\/1\.1 (421|505) /);
    });

    test('malformed and hostile requests are answered or dropped; the process stays', async () => {
      const pid = supervisor.pid;
      const host = 'Host: localhost\r\n';
      const requests = [
        '\x01\x02\x03\x04\r\n\r\n',
        'A'.repeat(100_000),
        `GET dash HTTP/1.1\r\n${host}\r\n`,
        `GET http://evil/dash HTTP/1.1\r\n${host}\r\n`,
        `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
        `CONNECT a:1 HTTP/1.1\r\n${host}\r\n`,
        `GET /%E0%A4%A HTTP/1.1\r\n${host}\r\n`,
        `GET /../../etc/passwd HTTP/1.1\r\n${host}\r\n`,
        `GET /\0 HTTP/1.1\r\n${host}\r\n`,
        `GET /livez?%zz=%E0 HTTP/1.1\r\n${host}\r\n`,
        `POST /dash HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
        `BREW /dash HTTP/1.1\r\n${host}\r\n`,
        `GET /livez HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
        `GET /livez HTTP/9.9\r\n${host}\r\n`,
        `GET /${'a'.repeat(50_000)} HTTP/1.1\r\n${host}\r\n`,
      ];
      for (const request of requests) {
        const text = await raw(port, request);
        assert.ok(!text.includes('root:'), request.slice(0, 40));
        assert.ok(text === '' || /^HTTP\/1\.1 (200|4\d\d|505) /.test(text), text.slice(0, 80));
      }
      assert.equal((await fetchPath('/livez')).status, 200);
      assert.equal(supervisor.pid, pid);
    });

    test('clients that leave before the reply do not end the process', async () => {
      const pid = supervisor.pid;
      for (let i = 0; i < 50; i++)
        await new Promise<void>((resolve) => {
          const socket = net.connect(port, '127.0.0.1', () => {
            socket.write('GET /dash HTTP/1.1\r\nHost: localhost\r\n\r\n', () => {
              socket.resetAndDestroy();
              resolve();
            });
          });
        });
      assert.equal((await fetchPath('/livez')).status, 200);
      assert.equal(supervisor.pid, pid);
    });

    test('a flood of requests costs the broker few snapshots', async () => {
      const startedMs = performance.now();
      const before = snapshots;
      for (let round = 0; round < 20; round++)
        await Promise.all(
          Array.from({ length: 20 }, async () => (await fetchPath('/dash')).text()),
        );
      const windows = Math.ceil((performance.now() - startedMs) / 250);
      assert.ok(snapshots - before <= windows + 1, `${snapshots - before} in ${windows} windows`);
    });

    test('a port that is taken is reported, not shared', async () => {
      const failures: string[] = [];
      const log = { ...SILENT, error: (_: object, text: string) => failures.push(text) };
      const dashboard = {
        host: '127.0.0.1',
        port,
        transport,
        allowedHosts: [],
        readOnly: false,
        version: '0',
      };
      const second = new DashboardSupervisor({
        dashboard,
        log,
        answer: () => ({ health: HEALTH }),
      });
      assert.equal(await second.first, null);
      assert.match(failures[0], /cannot listen on 127\.0\.0\.1:\d+.*broker is not affected/);
      await second.close();
      assert.equal((await fetchPath('/livez')).status, 200);
    });

    test('ends with the broker that started it', async () => {
      const other = start(transport, () => ({ health: HEALTH }));
      const bound = await other.first;
      await other.close();
      await assert.rejects(fetch(`http://127.0.0.1:${bound}/livez`));
    });
  });
}
