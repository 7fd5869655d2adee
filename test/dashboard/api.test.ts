// The admin API without a socket: that its document names its routes, who is let in, what a query
// may say, and how refusals of the broker become problems.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command, Outcome } from '../../src/contract/commands.ts';
import { API_ROUTES } from '../../src/dashboard/api.ts';
import { Commander } from '../../src/dashboard/commander.ts';
import { History } from '../../src/dashboard/history.ts';
import type { DashboardRequest } from '../../src/dashboard/http.ts';
import { COMMANDS_MAX } from '../../src/dashboard/messages.ts';
import { OPENAPI } from '../../src/dashboard/openapi.ts';
import { createRouter, type RouterOptions } from '../../src/dashboard/routes.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

const HEALTH = { started: true, live: true, ready: true, checks: {} };
const TOKEN = 'a-token-of-some-length';

function desk(options: Partial<RouterOptions> = {}, outcome?: Outcome) {
  const commands: Command[] = [];
  const handle = createRouter({
    ask: async () => ({ health: HEALTH, snapshot: fakeSnapshot() }),
    host: '127.0.0.1',
    allowedHosts: [],
    run: async (command) => {
      commands.push(command);
      return outcome ?? { ok: true, result: { done: true } };
    },
    ...options,
  });
  const ask = (method: string, url: string, more: Partial<DashboardRequest> = {}) =>
    handle({ method, url, host: 'localhost:3888', hasBody: false, ...more });
  return { commands, ask };
}

test('the document names the routes, and no others', () => {
  const routes = API_ROUTES.map(({ method, path }) => `${method} ${path}`);
  const named = Object.entries(OPENAPI.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(named.sort(), routes.sort());
});

test('the document leads to the API also below a path of a proxy', () => {
  const [{ url }] = OPENAPI.servers;
  for (const base of ['http://host:3888/', 'https://mq.example/tools/mq/'])
    assert.equal(new URL(url, `${base}api/v1/openapi.json`).href, base);
});

describe('who is let in', () => {
  const pause = '/api/v1/buckets/1/pause';
  const ours = 'http://localhost:3888';
  const cases: [string, Partial<RouterOptions>, string, Partial<DashboardRequest>, number][] = [
    ['a change with our header', {}, pause, { action: '1' }, 200],
    ['a change without it', {}, pause, {}, 403],
    ['a change with another value', {}, pause, { action: '0' }, 403],
    ['a change from our page', {}, pause, { action: '1', origin: ours }, 200],
    ['a change from our page without the header', {}, pause, { origin: ours }, 403],
    ['a page elsewhere', {}, pause, { action: '1', origin: 'http://evil.example' }, 403],
    ['a page on another port', {}, pause, { action: '1', origin: 'http://localhost:80' }, 403],
    ['a page from nowhere', {}, pause, { action: '1', origin: 'null' }, 403],
    ['another host name', {}, pause, { action: '1', host: 'evil.example' }, 421],
    ['a change where nothing may', { readOnly: true }, pause, { action: '1' }, 403],
    ['no token where one is set', { token: TOKEN }, pause, { action: '1' }, 401],
    ['another token', { token: TOKEN }, pause, { authorization: `Bearer ${TOKEN}x` }, 401],
    ['the token', { token: TOKEN }, pause, { authorization: `Bearer ${TOKEN}` }, 200],
    ['a body', {}, pause, { action: '1', hasBody: true }, 413],
  ];
  for (const [name, options, url, request, status] of cases)
    test(`${name}: ${status}`, async () => {
      const { ask, commands } = desk(options);
      const reply = await ask('POST', url, request);
      assert.equal(reply.status, status, reply.body);
      assert.equal(commands.length, status === 200 ? 1 : 0, 'what is refused reaches the broker');
      if (status !== 200) assert.equal(JSON.parse(reply.body).status, status);
    });

  test('a password of a browser is the token, and changes nothing without the header', async () => {
    const basic = `Basic ${Buffer.from(`any:${TOKEN}`).toString('base64')}`;
    const { ask } = desk({ token: TOKEN });
    assert.equal((await ask('GET', '/api/v1/overview', { authorization: basic })).status, 200);
    assert.equal((await ask('POST', pause, { authorization: basic })).status, 403);
    const refused = await ask('GET', '/api/v1/overview');
    assert.match(refused.headers['www-authenticate']!, /^Basic /);
  });

  test('a token guards every page but the probes, and read-only still reads', async () => {
    const { ask } = desk({ token: TOKEN });
    for (const url of ['/', '/dash', '/metrics', '/metrics/buckets', '/api/v1/config', '/none'])
      assert.equal((await ask('GET', url)).status, 401, url);
    for (const url of ['/livez', '/readyz', '/startupz', '/page.css', '/page.js'])
      assert.equal((await ask('GET', url)).status, 200, url);
    assert.equal((await desk({ readOnly: true }).ask('GET', '/api/v1/buckets')).status, 200);
  });

  test('GET never changes anything', async () => {
    const { ask, commands } = desk();
    const read = API_ROUTES.filter(({ method }) => method === 'GET').map(({ path }) => path);
    for (const { method, path } of API_ROUTES.filter(({ method: each }) => each !== 'GET')) {
      const url = path.replace('{id}', '1');
      if (read.includes(path)) continue;
      const reply = await ask('GET', url, { action: '1' });
      assert.equal(reply.status, 405, url);
      assert.equal(reply.headers.allow, method);
    }
    assert.deepEqual(commands, []);
  });
});

test('queries become bounded commands, or problems that name the part', async () => {
  const { ask, commands } = desk();
  await ask('GET', '/api/v1/buckets?sort=age&limit=7&cursor=age%3A1%3A2%3A3&prefix=4');
  const expected = { kind: 'buckets', sort: 'age', limit: 7, cursor: 'age:1:2:3', prefix: '4' };
  assert.deepEqual(commands, [expected]);
  const bad: [string, RegExp][] = [
    ['/api/v1/buckets?sort=size', /sort is one of backlog, age, rate, id, not "size"/],
    ['/api/v1/buckets?limit=1001', /limit is a whole number from 1 to 1000, not "1001"/],
    ['/api/v1/buckets?limit=-1', /limit is a whole number/],
    ['/api/v1/buckets/1/messages?limit=101', /from 1 to 100/],
    ['/api/v1/buckets/1/dead/messages?after=1e3', /sequence of a message, not "1e3"/],
    ['/api/v1/buckets/1/messages?bytes=9999999', /bytes is a whole number/],
    ['/api/v1/history?seconds=0', /seconds is a whole number/],
    ['/metrics/buckets?top=5000', /top is a whole number from 1 to 1000/],
  ];
  for (const [url, text] of bad) {
    const reply = await ask('GET', url);
    assert.equal(reply.status, 400, url);
    assert.match(JSON.parse(reply.body).detail, text);
  }
  assert.equal((await ask('DELETE', '/api/v1/connections/x', { action: '1' })).status, 400);
  assert.equal((await ask('GET', '/api/v1/none')).status, 404);
  assert.equal((await ask('GET', '/api/v1/live')).status, 426);
  assert.equal(commands.length, 1);
});

test('refusals of the broker are problems with a code', async () => {
  const cases = [
    ['bad-request', 400],
    ['not-found', 404],
    ['too-many', 429],
    ['failed', 500],
    ['stopping', 503],
  ] as const;
  for (const [code, status] of cases) {
    const reply = await desk({}, { ok: false, code, detail: 'why' }).ask(
      'GET',
      '/api/v1/buckets/1',
    );
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    const { code: got, detail, status: said } = JSON.parse(reply.body);
    assert.deepEqual([reply.status, said, got, detail], [status, status, code, 'why']);
  }
});

test('a purge that goes on is 202, one that is done 200', async () => {
  const post = async (done: boolean) => {
    const { ask } = desk({}, { ok: true, result: { done } });
    return (await ask('POST', '/api/v1/buckets/1/purge', { action: '1' })).status;
  };
  assert.deepEqual([await post(false), await post(true)], [202, 200]);
});

test('the configuration and the overview are parts of the snapshot', async () => {
  const { ask } = desk({ ask: async () => ({ health: HEALTH, snapshot: fakeSnapshot() }) });
  const overview = JSON.parse((await ask('GET', '/api/v1/overview')).body);
  assert.deepEqual(overview.buckets, {
    count: 1,
    exact: true,
    ready: 9,
    unacked: 2,
    delayed: 0,
    dead: 0,
    paused: 0,
    sources: 0,
    oldestAgeMs: 1500,
    recentIds: { count: 0, bytes: 0, bytesMax: 1 },
  });
  assert.equal(overview.config, undefined);
  assert.equal(overview.readOnly, false);
  const silent = await desk({ ask: async () => undefined }).ask('GET', '/api/v1/overview');
  assert.equal(silent.status, 503);
});

test('a backup: where it goes is in the query, and it goes on after the answer', async () => {
  const running: Outcome = { ok: true, result: { state: 'running' } };
  const { ask, commands } = desk({}, running);
  const begun = await ask('POST', '/api/v1/backup/begin?into=%2Fbackups%2Fa%20b', { action: '1' });
  assert.equal(begun.status, 202);
  assert.equal((await ask('GET', '/api/v1/backup')).status, 200);
  assert.equal((await ask('POST', '/api/v1/backup/cancel', { action: '1' })).status, 200);
  assert.deepEqual(commands, [
    { kind: 'backup', into: '/backups/a b' },
    { kind: 'backup-state' },
    { kind: 'backup-cancel' },
  ]);
  const long = `/api/v1/backup/begin?into=/${'x'.repeat(5000)}`;
  assert.equal((await ask('POST', long, { action: '1' })).status, 400);
  const reading = desk({ readOnly: true }, running);
  assert.equal(
    (await reading.ask('POST', '/api/v1/backup/begin?into=/b', { action: '1' })).status,
    403,
  );
  assert.equal(commands.length + reading.commands.length, 3);
});

describe('commands on the channel', () => {
  const question = (id: number): Command => ({ kind: 'bucket', id: String(id) });
  const outcome = (n: number): Outcome => ({ ok: true, result: { n } });

  test('a few at a time, a queue behind them, and no more', async () => {
    const sent: number[] = [];
    const commander = new Commander((id) => sent.push(id));
    const all = Array.from({ length: COMMANDS_MAX + 64 + 5 }, (_, i) => commander.run(question(i)));
    assert.equal(sent.length, COMMANDS_MAX);
    const last = await all.at(-1)!;
    assert.ok(!last.ok && last.code === 'too-many');
    for (let i = 0; i < sent.length; i++) commander.answered(sent[i]!, outcome(i));
    assert.equal(sent.length, COMMANDS_MAX + 64);
    assert.deepEqual(await all[3], outcome(3));
  });

  test('the same question is asked once in a while, a change each time', async () => {
    let nowMs = 0;
    const sent: number[] = [];
    const commander = new Commander(
      (id) => sent.push(id),
      () => nowMs,
    );
    void commander.run(question(1));
    void commander.run(question(1));
    assert.equal(sent.length, 1);
    nowMs = 251;
    void commander.run(question(1));
    assert.equal(sent.length, 2);
    void commander.run({ kind: 'pause', id: '1' });
    void commander.run({ kind: 'pause', id: '1' });
    void commander.run(question(1));
    assert.equal(sent.length, 5, 'who changed something sees it');
  });

  test('a broker that does not answer is said, and its places stay taken', async () => {
    const sent: number[] = [];
    const commander = new Commander((id) => sent.push(id), undefined, 1);
    const late = await commander.run(question(0));
    assert.ok(!late.ok && late.code === 'stopping');
    for (let i = 1; i < 20; i++) void commander.run(question(i));
    assert.equal(sent.length, COMMANDS_MAX);
  });
});

describe('history', () => {
  const at = (seconds: number, publishedMessages: number, life = 'a', beganMs = 0) => {
    const now = new Date(beganMs + seconds * 1000).toISOString();
    const snapshot = fakeSnapshot({ uptimeMs: seconds * 1000, now });
    snapshot.log.epoch = life.charCodeAt(0);
    snapshot.totals.publishedMessages = publishedMessages;
    return snapshot;
  };

  test('rates are between two samples of one broker', () => {
    const history = new History();
    for (const sample of [at(1, 100), at(2, 150), at(3, 150), at(4, 7, 'b'), at(5, 9, 'b')])
      history.add(sample);
    const { series, rows } = history.last(900);
    assert.equal(series[0], 'publishedRate');
    assert.deepEqual(
      rows.map(([time, published]) => [time, published]),
      [
        [2000, 50],
        [3000, 0],
        [5000, 2],
      ],
    );
    assert.equal(history.last(1).rows.length, 1);
  });

  test('the wall clock is set: what was before keeps its distance, and nothing is left out', () => {
    for (const jumpMs of [-86_400_000, 86_400_000]) {
      const history = new History();
      for (const sample of [at(1, 100), at(2, 150), at(3, 160)]) history.add(sample);
      for (const seconds of [4, 5]) history.add(at(seconds, 160 + seconds, 'a', jumpMs));
      const rows = history.last(900).rows.map(([time, published]) => [time - jumpMs, published]);
      assert.deepEqual(rows, [
        [2000, 50],
        [3000, 10],
        [4000, 4],
        [5000, 1],
      ]);
    }
  });

  test('another broker on the same page: what the one before did keeps its dates', () => {
    const history = new History();
    for (const sample of [at(100, 1), at(101, 2)]) history.add(sample);
    for (const seconds of [1, 2]) history.add(at(seconds, 7, 'b', 200_000));
    assert.deepEqual(
      history.last(900).rows.map(([time]) => time),
      [101_000, 202_000],
    );
  });

  test('a quiet second is like the one before, without rates', () => {
    const history = new History();
    history.quiet(1000);
    history.add(at(1, 100));
    history.quiet(1000);
    assert.deepEqual(history.last(900).rows, [], 'nothing is known yet that it could be like');
    history.add(at(3, 150));
    history.quiet(1000);
    history.add(at(5, 160));
    const { series, rows } = history.last(900);
    const ready = series.indexOf('ready') + 1;
    assert.deepEqual(
      rows.map((row) => [row[0], row[1], row[ready]! > 0]),
      [
        [3000, 50, true],
        [4000, 0, true],
        [5000, 10, true],
      ],
    );
  });

  test('mean times of a second, however many there were before', () => {
    const history = new History();
    const timed = (seconds: number, count: number, sum: number) => {
      const snapshot = at(seconds, 0);
      // Rounded, as the snapshot's mean is.
      const mean = Number((sum / count).toPrecision(4));
      snapshot.commits.syncMs = { count, sum, mean, p50: 0, p99: 0, max: 0 };
      snapshot.latency.publishMs = { count, sum: sum * 2, mean: mean * 2, p50: 0, p99: 0, max: 0 };
      return snapshot;
    };
    history.add(timed(1, 10_000_000, 1_234_567));
    history.add(timed(2, 10_001_000, 1_234_817));
    const { series, rows } = history.last(1);
    const value = (name: string) => rows[0]![series.indexOf(name) + 1];
    assert.equal(value('syncMs'), 0.25);
    assert.equal(value('publishMs'), 0.5);
    assert.equal(value('deliveryMs'), 0);
  });

  test('keeps so many rows, and leaves a gap where nobody looked', () => {
    const history = new History();
    for (let second = 1; second <= 2000; second++) history.add(at(second, second));
    assert.equal(history.last(5000).rows.length, 900);
    history.add(at(2100, 1e6));
    assert.equal(history.last(1).rows[0]![0], 2_000_000);
  });
});
