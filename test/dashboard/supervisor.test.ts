// The broker's side of the dashboard: restarts, the silence of a stuck broker or child, and that
// nothing of it reaches the caller.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Answer, COMMANDS_MAX, type DashboardOptions } from '../../src/dashboard/messages.ts';
import type { PulseClock } from '../../src/dashboard/pulse.ts';
import {
  DashboardSupervisor,
  type SupervisorLog,
  type SupervisorOptions,
} from '../../src/dashboard/supervisor.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq-dashboard-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const DASHBOARD: DashboardOptions = {
  host: '127.0.0.1',
  port: 0,
  transport: 'node',
  allowedHosts: [],
  readOnly: false,
  version: '0',
};
const ANSWER: Answer = {
  health: { started: true, live: true, ready: true, checks: {} },
  snapshot: fakeSnapshot(),
};

/** A log whose events can be waited for. */
class EventLog implements SupervisorLog {
  readonly lines: { level: string; event: string; fields: Record<string, unknown> }[] = [];
  #waiting: (() => void)[] = [];
  info = this.#at('info');
  warn = this.#at('warn');
  error = this.#at('error');
  debug = this.#at('debug');

  #at(level: string) {
    return (fields: object): void => {
      const record = fields as Record<string, unknown>;
      this.lines.push({ level, event: String(record.event), fields: record });
      for (const check of [...this.#waiting]) check();
    };
  }

  /** Settles when `count` lines of an event are there. */
  seen(event: string, count = 1): Promise<void> {
    return new Promise((resolve) => {
      // Between two children nothing else would keep this process waiting.
      const alive = setInterval(() => {}, 1000);
      const check = (): void => {
        if (this.lines.filter((line) => line.event === event).length < count) return;
        this.#waiting = this.#waiting.filter((other) => other !== check);
        clearInterval(alive);
        resolve();
      };
      this.#waiting.push(check);
      check();
    });
  }
}

function start(change: Partial<SupervisorOptions> = {}): {
  supervisor: DashboardSupervisor;
  log: EventLog;
} {
  const log = new EventLog();
  const supervisor = new DashboardSupervisor({
    dashboard: DASHBOARD,
    log,
    answer: () => ANSWER,
    ...change,
  });
  return { supervisor, log };
}

function childScript(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('a child that is killed is started again, on the port it had', async () => {
  const ports: number[] = [];
  const { supervisor, log } = start({ onListening: (port) => ports.push(port) });
  const port = await supervisor.first;
  const pid = supervisor.pid;
  assert.ok(pid && port);
  process.kill(pid, 'SIGKILL');
  await log.seen('dashboard.listening', 2);
  assert.notEqual(supervisor.pid, pid);
  assert.deepEqual(ports, [port, port]);
  const ended = log.lines.find(({ event }) => event === 'dashboard.ended');
  assert.equal(ended?.level, 'warn');
  assert.equal(ended?.fields.why, 'SIGKILL');
  assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
  await supervisor.close();
});

/** A clock whose beats come when they are asked for. */
class Beats implements PulseClock {
  readonly #calls = new Set<() => void>();

  every(_ms: number, call: () => void): () => void {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  afterReads(call: () => void): void {
    setImmediate(call);
  }

  /** Beats, with time for the channel between them, until `over` settles; resolves with how many. */
  async until(over: Promise<void>): Promise<number> {
    let isOver = false;
    void over.then(() => {
      isOver = true;
    });
    let count = 0;
    while (!isOver) {
      for (const call of [...this.#calls]) call();
      count++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  }
}

const STUCK_CHILDREN: [what: string, begin: string][] = [
  ['in an endless loop', 'for (;;);'],
  ['that takes no messages any more', "process.removeAllListeners('message');"],
];

for (const [what, begin] of STUCK_CHILDREN)
  test(`a child ${what} is killed and started again`, async () => {
    const childPath = childScript(
      `stuck-${STUCK_CHILDREN.findIndex(([each]) => each === what)}.mjs`,
      `process.on('message', (message) => {
         if (message.type !== 'start') return;
         process.send({ type: 'listening', port: 4711, transport: 'node' }, () => { ${begin} });
       });
       process.on('disconnect', () => process.exit(0));
       setInterval(() => {}, 1000);`,
    );
    const clock = new Beats();
    const { supervisor, log } = start({ childPath, clock });
    assert.equal(await supervisor.first, 4711);
    const { pid } = supervisor;
    await clock.until(log.seen('dashboard.silent'));
    await log.seen('dashboard.listening', 2);
    assert.notEqual(supervisor.pid, pid);
    const [silent] = log.lines.filter(({ event }) => event === 'dashboard.silent');
    assert.deepEqual([silent?.level, silent?.fields.pid], ['warn', pid]);
    const [ended] = log.lines.filter(({ event }) => event === 'dashboard.ended');
    assert.equal(ended?.fields.why, 'no answer for 4 s');
    await supervisor.close();
  });

test('a child that is stopped makes room for another on its port, and it is told', async () => {
  const clock = new Beats();
  const { supervisor, log } = start({ clock });
  const port = await supervisor.first;
  const { pid } = supervisor;
  assert.ok(pid && port);
  process.kill(pid, 'SIGSTOP');
  const lost = fetch(`http://127.0.0.1:${port}/livez`).catch(() => 'closed');
  await clock.until(log.seen('dashboard.silent'));
  assert.equal(await lost, 'closed');
  await log.seen('dashboard.listening', 2);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  assert.equal(supervisor.port, port);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^thrustmq_dashboard_restarts_total\{reason="silent"\} 1$/m);
  assert.match(metrics, /^thrustmq_dashboard_restarts_total\{reason="ended"\} 0$/m);
  const { checks } = (await (await fetch(`http://127.0.0.1:${port}/readyz?verbose`)).json()) as {
    checks: Record<string, { ok: boolean; detail: string }>;
  };
  assert.equal(checks.dashboard?.ok, true);
  assert.match(checks.dashboard.detail, /^started again once, the last time at .*: no answer for/);
  await supervisor.close();
});

test('a child that never begins to listen is killed, too; the next one has more time', async () => {
  const childPath = childScript(
    'never.mjs',
    "process.on('disconnect', () => process.exit(0)); setInterval(() => {}, 1000);",
  );
  const clock = new Beats();
  const { supervisor, log } = start({ childPath, clock });
  assert.equal(await clock.until(log.seen('dashboard.silent')), 4);
  assert.equal(await supervisor.first, null);
  await clock.until(log.seen('dashboard.silent', 2));
  assert.deepEqual(
    log.lines.filter(({ event }) => event === 'dashboard.silent').map(({ fields }) => fields.why),
    ['not listening after 8 s', 'not listening after 16 s'],
  );
  await supervisor.close();
});

test('signals to the process group do not end the child before the broker', async () => {
  const { supervisor } = start();
  const port = await supervisor.first;
  assert.ok(supervisor.pid);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.kill(supervisor.pid, signal);
  assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
  await supervisor.close();
});

test('a child that fails at once is retried with growing pauses and told of once', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as net.AddressInfo;
  const { supervisor, log } = start({ dashboard: { ...DASHBOARD, port } });
  assert.equal(await supervisor.first, null);
  await log.seen('dashboard.ended', 2);
  const ended = log.lines.filter(({ event }) => event === 'dashboard.ended');
  assert.deepEqual(
    ended.slice(0, 2).map(({ fields }) => fields.retryMs),
    [500, 1000],
  );
  assert.equal(log.lines.filter(({ level }) => level === 'error').length, 1);
  // As soon as the port is free the dashboard is there.
  await new Promise((resolve) => taken.close(resolve));
  await log.seen('dashboard.listening');
  assert.equal(supervisor.port, port);
  await supervisor.close();
});

test('a broker that is stuck makes the dashboard say so, not wait', async () => {
  let stuck = false;
  const { supervisor } = start({
    answer: () => {
      if (stuck) throw new Error('no answer');
      return ANSWER;
    },
  });
  const port = await supervisor.first;
  stuck = true;
  const replies = ['/livez', '/dash'].map((path) => fetch(`http://127.0.0.1:${port}${path}`));
  for (const reply of await Promise.all(replies)) assert.equal(reply.status, 503);
  await supervisor.close();
});

test('a child that asks and does not read gets one answer, not a heap of them', async () => {
  let answers = 0;
  const childPath = childScript(
    'flood.mjs',
    `process.on('message', (message) => {
       if (message.type !== 'start') return;
       process.send({ type: 'listening', port: 1, transport: 'node' });
       for (let id = 1; id <= 500; id++) process.send({ type: 'ask', id });
       setTimeout(() => process.send({ type: 'failed', code: 'DONE', message: 'asked' }), 0);
       for (const until = Date.now() + 300; Date.now() < until; );
     });
     process.on('disconnect', () => process.exit(0));`,
  );
  const big = { ...ANSWER, snapshot: fakeSnapshot({ config: { pad: 'x'.repeat(1_000_000) } }) };
  const { supervisor, log } = start({
    childPath,
    answer: () => {
      answers += 1;
      return big;
    },
  });
  await log.seen('dashboard.failed');
  assert.ok(answers >= 1 && answers <= 20, `${answers} answers of a megabyte`);
  await supervisor.close();
});

test('a child that orders and does not read has few orders under way', async (t) => {
  let orders = 0;
  const childPath = childScript(
    'orders.mjs',
    // As many as the channel takes at once: whoever waits for it to take more reads meanwhile.
    `process.on('message', (message) => {
       if (message.type !== 'start') return;
       const command = { kind: 'buckets', sort: 'id', limit: 1 };
       for (let id = 1; id <= 100; id++) process.send({ type: 'command', id, command });
       process.send({ type: 'listening', port: 1, transport: 'node' }, () => { for (;;); });
     });`,
  );
  const clock = new Beats();
  const { supervisor, log } = start({
    childPath,
    clock,
    command: (_, done) => {
      orders += 1;
      done({ ok: true, result: { text: 'x'.repeat(100_000) } });
    },
  });
  t.after(() => supervisor.close());
  await log.seen('dashboard.listening');
  assert.ok(orders >= 1 && orders <= 2 * COMMANDS_MAX, `${orders} outcomes of 100 KB`);
  const before = orders;
  await clock.until(log.seen('dashboard.silent'));
  assert.equal(orders, before, 'no more for a child that is stuck');
});

test('what a dying child wrote is in the log, and nothing of it throws here', async () => {
  const childPath = childScript(
    'dying.mjs',
    `console.error('x'.repeat(9000) + 'the reason'); process.exit(9);`,
  );
  const { supervisor, log } = start({ childPath });
  await log.seen('dashboard.ended');
  const [{ fields }] = log.lines.filter(({ event }) => event === 'dashboard.ended');
  assert.equal(fields.why, 'exit code 9');
  assert.match(String(fields.stderr), /the reason$/);
  assert.ok(String(fields.stderr).length <= 2000);
  await supervisor.close();
});

test('a child that ignores the end of its channel is killed', async () => {
  const childPath = childScript(
    'deaf.mjs',
    `process.on('message', () => process.send({ type: 'listening', port: 1, transport: 'node' }));
     process.on('disconnect', () => {});
     setInterval(() => {}, 1000);`,
  );
  const { supervisor } = start({ childPath });
  await supervisor.first;
  const pid = supervisor.pid;
  assert.ok(pid);
  await supervisor.close();
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('closing while the child is down ends the retries', async () => {
  const childPath = childScript('gone.mjs', 'process.exit(1);');
  const { supervisor, log } = start({ childPath });
  await log.seen('dashboard.ended');
  await supervisor.close();
  assert.equal(supervisor.pid, undefined);
});
