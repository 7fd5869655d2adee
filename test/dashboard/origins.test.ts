// Which pages may change something and listen, over both transports as real processes: proxies in
// front with names of their own are let in, pages of others are not, however they spell themselves.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DashboardSupervisor } from '../../src/dashboard/supervisor.ts';
import { loadUws } from '../../src/dashboard/uws.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { raw, statusOf } from '../support/raw-http.ts';

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };
const HEALTH = { started: true, live: true, ready: true, checks: {} };
const uws = await loadUws();

const ALLOWED = ['mq.example.com', 'ported.example.com:8443', '[2001:db8::7]', 'bücher.example'];
const HERE = '127.0.0.1:PORT';

/** Host, Origin, and whether that page may do anything. PORT: the dashboard's. */
const PAGES: [host: string, origin: string, isLetIn: boolean][] = [
  // The same place, in each way to write it.
  [HERE, 'http://127.0.0.1:PORT', true],
  ['localhost:PORT', 'http://LOCALHOST:PORT', true],
  ['[::1]:PORT', 'http://[::1]:PORT', true],
  ['[0:0:0:0:0:0:0:1]:PORT', 'http://[::1]:PORT', true],
  ['MQ.example.com', 'https://mq.example.com', true],
  ['mq.example.com.', 'https://mq.example.com', true],
  ['mq.example.com', 'HTTPS://mq.example.com.', true],
  ['mq.example.com:443', 'https://mq.example.com', true],
  ['mq.example.com:80', 'http://mq.example.com', true],
  ['mq.example.com:8443', 'https://mq.example.com:8443', true],
  ['mq.example.com', 'http://mq.example.com:80', true],
  // A proxy in front asks with its own Host.
  [HERE, 'https://mq.example.com', true],
  [HERE, 'http://mq.example.com', true],
  [HERE, 'https://mq.example.com:443', true],
  [HERE, 'https://ported.example.com:8443', true],
  [HERE, 'https://[2001:db8:0::7]', true],
  [HERE, 'https://xn--bcher-kva.example', true],
  ['mq.example.com', 'https://ported.example.com:8443', true],
  // A named place is that port of it, the usual one if none was named.
  [HERE, 'https://mq.example.com:8443', false],
  [HERE, 'https://mq.example.com:80', false],
  [HERE, 'http://mq.example.com:443', false],
  [HERE, 'https://ported.example.com', false],
  ['mq.example.com:80', 'https://mq.example.com:8443', false],
  // Others on this machine, or at another port.
  [HERE, 'http://127.0.0.1', false],
  [HERE, 'http://localhost:PORT', false],
  ['localhost:PORT', 'http://localhost', false],
  ['localhost', 'http://localhost:PORT', false],
  [HERE, 'http://127.0.0.1:1', false],
  // Pages of others.
  [HERE, 'http://evil.example', false],
  [HERE, 'null', false],
  [HERE, '', false],
  [HERE, 'file://', false],
  [HERE, 'ftp://mq.example.com', false],
  [HERE, 'chrome-extension://mq.example.com', false],
  [HERE, 'xhttps://mq.example.com', false],
  [HERE, 'http://evil.example https://mq.example.com', false],
  [HERE, 'mq.example.com', false],
  [HERE, '//mq.example.com', false],
  [HERE, 'https:mq.example.com', false],
  [HERE, 'https://mq.example.com.evil.example', false],
  [HERE, 'https://evilmq.example.com', false],
  [HERE, 'https://mq.example.com-evil.example', false],
  [HERE, 'https://mq.example.com@evil.example', false],
  [HERE, 'https://evil.example@mq.example.com', false],
  [HERE, 'https://mq.example.com:443@evil.example', false],
  [HERE, 'https://evil.example/https://mq.example.com', false],
  [HERE, 'https://mq.example.com/', false],
  [HERE, 'https://mq.example.com:443:443', false],
  [HERE, 'https://mq.example.com:', false],
  [HERE, 'https://mq.example.com..', false],
  [HERE, 'https://mq.example.com:65979', false], // 443 in sixteen bits
  [HERE, 'https://mq.example.com, https://evil.example', false],
  [HERE, 'https://mq.example.com https://evil.example', false],
  [HERE, 'https://[::7]', false],
  [HERE, 'https://2001:db8::7', false],
  [HERE, 'https://example.com', false],
  // A name that was pointed at this address: its page has that name in both.
  ['evil.example:PORT', 'http://evil.example:PORT', false],
  ['evil.example:PORT', 'https://mq.example.com', false],
  ['127.0.0.1@evil.example', 'http://127.0.0.1', false],
  ['127.0.0.1.evil.example', 'http://127.0.0.1.evil.example', false],
];

for (const transport of ['uws', 'node'] as const) {
  const skip = transport === 'uws' && typeof uws === 'string' ? `does not load: ${uws}` : false;
  describe(`pages over ${transport}`, { skip }, () => {
    let supervisor: DashboardSupervisor;
    let port: number;
    before(async () => {
      const dashboard = {
        host: '127.0.0.1',
        port: 0,
        transport,
        allowedHosts: ALLOWED,
        readOnly: false,
        version: '0',
      };
      supervisor = new DashboardSupervisor({
        dashboard,
        log: SILENT,
        answer: () => ({ health: HEALTH, snapshot: fakeSnapshot() }),
        command: (command, done) => done({ ok: true, result: { ...command } }),
      });
      const bound = await supervisor.first;
      assert.ok(bound);
      port = bound;
    });
    after(() => supervisor.close());

    const PAUSE = 'POST /api/v1/buckets/7/pause HTTP/1.1';
    const ACTION = ['X-ThrustMQ-Request: 1', 'Content-Length: 0'];
    const UPGRADE = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];

    for (const [host, origin, isLetIn] of PAGES)
      test(`Host ${host}, Origin ${origin}: ${isLetIn ? 'let in' : 'refused'}`, async () => {
        const headers = [`Host: ${host}`, `Origin: ${origin}`].map((line) =>
          line.replaceAll('PORT', String(port)),
        );
        const live = ['GET /api/v1/live HTTP/1.1', ...headers, ...UPGRADE];
        const [changed, listens] = await Promise.all([
          statusOf(port, [PAUSE, ...headers, ...ACTION]),
          statusOf(port, live),
        ]);
        const isForeignHost = /evil/.test(host);
        const refusal = isForeignHost ? 421 : 403;
        assert.deepEqual([changed, listens], isLetIn ? [200, 101] : [refusal, refusal]);
      });

    test('a page of another origin has no way to learn that it may send our header', async () => {
      const ask = ['Host: 127.0.0.1', 'Origin: http://evil.example'];
      const preflight = [
        'OPTIONS /api/v1/buckets/7/pause HTTP/1.1',
        'Access-Control-Request-Method: POST',
        'Access-Control-Request-Headers: x-thrustmq-request',
      ];
      for (const origin of ask.slice(1).concat('Origin: https://mq.example.com')) {
        const text = await raw(port, `${[...preflight, ask[0], origin].join('\r\n')}\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 4\d\d /);
        assert.ok(!/access-control/i.test(text), text);
      }
    });

    test('a second header of a kind that decides is refused, and ends the connection', async () => {
      const host = 'Host: 127.0.0.1';
      const twice: [what: string, lines: string[]][] = [
        ['Host', [host, 'Host: evil.example']],
        ['the same Host', [host, 'host: 127.0.0.1']],
        ['Host of a stranger first', ['HOST: evil.example', host]],
        ['Content-Length', [host, 'Content-Length: 0', 'Content-Length: 9']],
        ['the same Content-Length', [host, 'Content-Length: 0', 'content-length: 0']],
        ['Origin', [host, 'Origin: http://127.0.0.1', 'Origin: http://evil.example']],
        ['our header', [host, 'X-ThrustMQ-Request: 1', 'X-ThrustMQ-Request: 0']],
        ['If-Match', [host, 'If-Match: "a"', 'If-Match: "b"']],
        ['If-None-Match', [host, 'If-None-Match: "a"', 'if-none-match: "b"']],
        ['length and coding', [host, 'Content-Length: 0', 'Transfer-Encoding: chunked']],
      ];
      for (const [what, lines] of twice)
        for (const first of ['GET /livez HTTP/1.1', 'GET /dash HTTP/1.1', PAUSE]) {
          const text = await raw(port, `${[first, ...lines].join('\r\n')}\r\n\r\n`);
          assert.match(text, /^HTTP\/1\.1 400 [\s\S]*connection: close/i, `${what}: ${first}`);
        }
      const live = ['GET /api/v1/live HTTP/1.1', host, host, ...UPGRADE];
      assert.equal(await statusOf(port, live), 400);
      // What stood behind the head would have been a request of its own.
      const hidden = 'GET /dash HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
      const lengths = `Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n`;
      const text = await raw(port, `${PAUSE}\r\n${host}\r\n${lengths}\r\n${hidden}`);
      assert.match(text, /^$|^HTTP\/1\.1 400 /);
      assert.ok(!text.includes(' 200 '), text);
    });

    test('health checks with a foreign Host', async () => {
      const probe = (...lines: string[]) => statusOf(port, ['GET /readyz HTTP/1.1', ...lines]);
      assert.equal(await probe('Host: pod-3.mq.svc.cluster.local:3888'), 200);
      assert.equal(await probe('Host: 10.2.3.4', 'Connection: close'), 200);
      assert.equal(await statusOf(port, ['GET /dash HTTP/1.1', 'Host: 10.2.3.4']), 421);
    });

    test('health checks with HTTP/1.0, or without a Host', async () => {
      const old = await statusOf(port, ['GET /livez HTTP/1.0']);
      const named = await statusOf(port, ['GET /livez HTTP/1.0', 'Host: 127.0.0.1']);
      const bare = await statusOf(port, ['GET /livez HTTP/1.1', 'Connection: close']);
      // The parser of uWebSockets.js takes HTTP/1.1 only, which has a Host: docs/proxies.md.
      assert.deepEqual([old, named, bare], transport === 'uws' ? [505, 505, 400] : [200, 200, 200]);
    });
  });
}
