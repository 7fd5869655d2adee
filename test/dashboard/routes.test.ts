// What the dashboard answers, without a socket: hosts, methods, paths, health, headers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../../src/dashboard/messages.ts';
import { createRouter, type DashboardReply, type Router } from '../../src/dashboard/routes.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

const HEALTHY: Answer = {
  health: { started: true, live: true, ready: true, checks: { log: { ok: true, detail: 'fine' } } },
  snapshot: fakeSnapshot(),
};

interface Setup {
  answer?: Answer | undefined;
  host?: string;
  allowedHosts?: string[];
}

function router(setup: Setup = {}): Router {
  const answer = 'answer' in setup ? setup.answer : HEALTHY;
  const { host = '127.0.0.1', allowedHosts = [] } = setup;
  return createRouter({ ask: async () => answer, host, allowedHosts });
}

function get(url: string, setup: Setup = {}, host = 'localhost:3888'): Promise<DashboardReply> {
  return router(setup)({ method: 'GET', url, host, hasBody: false });
}

test('the Host header decides first, on every path', async () => {
  const cases: [string | undefined, number][] = [
    ['localhost', 200],
    ['LOCALHOST:3888', 200],
    ['127.0.0.1', 200],
    ['127.0.0.1:80', 200],
    ['[::1]:3888', 200],
    ['[0:0::1]:3888', 200],
    ['localhost.:3888', 200],
    ['10.1.2.3:3888', 200],
    ['mq.example', 200],
    ['mq.example.:8443', 200],
    ['xn--bcher-kva.example', 200],
    ['named.example:1', 200],
    ['[2001:DB8:0:0::7]', 200],
    [undefined, 421],
    ['', 421],
    ['evil.example', 421],
    ['localhost.evil.example', 421],
    ['localhost@evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['127.0.0.2', 421],
    ['::1', 421],
    ['[::1', 421],
    ['[localhost]', 421],
    ['[::2]', 421],
    ['.', 421],
    ['localhost..', 421],
    ['localhost:99999', 421],
    ['localhost, evil.example', 421],
    ['evil.example:3888', 421],
    ['localhost:port', 421],
    ['localhost:3888:3888', 421],
    [' localhost', 421],
    ['x'.repeat(10_000), 421],
  ];
  const allowedHosts = ['MQ.example', 'bücher.example', 'named.example:8443', '2001:db8::7', ''];
  const handle = router({ host: '10.1.2.3', allowedHosts });
  for (const [host, status] of cases)
    for (const url of ['/', '/dash', '/metrics', '/page.css']) {
      const { status: got } = await handle({ method: 'GET', url, host, hasBody: false });
      assert.equal(got, status, `${host} ${url}`);
    }
  for (const method of ['GET', 'POST'])
    assert.equal(
      (await handle({ method, url: '/none', host: 'evil.example', hasBody: true })).status,
      421,
    );
});

test('a probe answers to any Host, and to none; to names that are not ours only yes or no', async () => {
  const checks = { disk: { ok: false, detail: 'full' } };
  const failing: Answer = { health: { started: true, live: true, ready: false, checks } };
  for (const host of [undefined, '', 'evil.example', 'pod-3.mq.svc.cluster.local:3888', '[x]']) {
    const ask = (url: string, answer = HEALTHY, more = {}) =>
      router({ answer })({ method: 'GET', url, host, hasBody: false, ...more });
    for (const path of ['/livez', '/readyz', '/startupz']) {
      assert.equal((await ask(path)).body, 'ok\n');
      assert.equal((await ask(`${path}?verbose`)).body, 'ok\n');
      assert.equal((await ask(path, HEALTHY, { method: 'HEAD' })).status, 200);
      assert.equal((await ask(path, HEALTHY, { method: 'POST', action: '1' })).status, 421);
      assert.equal((await ask(path, HEALTHY, { origin: 'http://evil.example' })).status, 403);
    }
    for (const url of ['/readyz', '/readyz?verbose=1']) {
      const reply = await ask(url, failing);
      assert.equal(reply.status, 503);
      assert.match(reply.body, /^not ok\n/);
      assert.ok(!/disk|full/.test(reply.body), 'a page that rebound its name learns no more');
    }
  }
});

test('on a wildcard address any IP address is ours, other names are not', async () => {
  for (const host of ['0.0.0.0', '::']) {
    assert.equal((await get('/dash', { host }, '192.168.1.7:3888')).status, 200);
    assert.equal((await get('/dash', { host }, '[fe80::1]:3888')).status, 200);
    assert.equal((await get('/dash', { host }, 'evil.example')).status, 421);
  }
});

test('only GET and HEAD, and no body', async () => {
  const handle = router();
  const ask = (method: string, hasBody = false) =>
    handle({ method, url: '/dash', host: 'localhost', hasBody });
  for (const method of ['GET', 'HEAD', 'get'])
    assert.equal((await ask(method)).status, 200, method);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'BREW', '']) {
    const reply = await ask(method);
    assert.equal(reply.status, 405, method);
    assert.equal(reply.headers.allow, 'GET, HEAD');
  }
  assert.equal((await ask('GET', true)).status, 413);
});

test('unknown and malformed paths are problems, never exceptions', async () => {
  const paths = [
    '',
    '*',
    'dash',
    '//dash',
    '/dash/',
    '/DASH',
    '/../../etc/passwd',
    '/%2e%2e/etc/passwd',
    '/%E0%A4%A',
    '/\0',
    '/dash\\..',
    'http://localhost/dash',
    '/__proto__',
    '/constructor',
    '/'.repeat(8000),
  ];
  for (const url of paths) {
    const reply = await get(url);
    assert.equal(reply.status, 404, url.slice(0, 40));
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    assert.equal(JSON.parse(reply.body).status, 404);
    assert.ok(reply.body.length < 500, 'nothing of the request is repeated');
  }
  assert.equal((await get('/livez?%zz=%E0&&==&a')).status, 200);
});

test('every reply carries the security headers', async () => {
  const replies = [await get('/dash'), await get('/x'), await get('/', {}, 'evil')];
  for (const { headers } of replies) {
    assert.match(headers['content-security-policy'], /^default-src 'none'/);
    assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
    assert.ok(!headers['content-security-policy'].includes('unsafe'));
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
  const page = (await get('/')).headers;
  assert.match(page['content-security-policy'], /script-src 'self';/);
  assert.equal(page['cache-control'], 'no-cache');
});

test('/dash is the snapshot, or 503 while there is none', async () => {
  const reply = await get('/dash');
  assert.equal(reply.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(reply.body), JSON.parse(JSON.stringify(fakeSnapshot())));
  assert.equal((await get('/dash', { answer: undefined })).status, 503);
  const starting = { health: { ...HEALTHY.health, started: false } };
  assert.match((await get('/dash', { answer: starting })).body, /starting/);
});

test('health: each probe looks at its own part', async () => {
  const checks = { disk: { ok: false, detail: 'full' }, log: { ok: true, detail: 'fine' } };
  const answer: Answer = { health: { started: true, live: true, ready: false, checks } };
  assert.equal((await get('/startupz', { answer })).status, 200);
  assert.equal((await get('/livez', { answer })).body, 'ok\n');
  const ready = await get('/readyz', { answer });
  assert.equal(ready.status, 503);
  assert.equal(ready.body, 'not ok\ndisk: full\n');
  const verbose = await get('/readyz?verbose', { answer });
  assert.equal(verbose.status, 503);
  assert.deepEqual(JSON.parse(verbose.body), { ok: false, checks });
  assert.equal(
    (await get('/readyz?verbose=0', { answer })).headers['content-type'],
    'text/plain; charset=utf-8',
  );
});

test('a broker that does not answer is not alive', async () => {
  for (const url of ['/livez', '/readyz', '/startupz', '/dash'])
    assert.equal((await get(url, { answer: undefined })).status, 503, url);
  assert.equal((await get('/', { answer: undefined })).status, 200, 'the page says it itself');
  assert.match((await get('/livez', { answer: undefined })).body, /no answer within a second/);
});

test('a failure while answering is a 500 and tells nothing', async () => {
  const handle = createRouter({
    ask: () => Promise.reject(new Error('secret')),
    host: '127.0.0.1',
    allowedHosts: [],
  });
  const reply = await handle({ method: 'GET', url: '/dash', host: 'localhost', hasBody: false });
  assert.equal(reply.status, 500);
  assert.ok(!reply.body.includes('secret'));
});
