// The dashboard's process beside a real broker, both stopped by signals as a debugger, a full
// machine or a closed laptop would: who is stuck is replaced, who only waits is not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BEAT_MS, MISSED_MAX } from '../../src/dashboard/pulse.ts';
import { type BrokerProcess, startBroker, temporaryFolder } from '../support/broker.ts';

/** Longer than a process may be silent. */
const STALL_MS = BEAT_MS * (MISSED_MAX + 1) + 1000;

async function readiness({ dashboard }: BrokerProcess): Promise<Record<string, unknown>> {
  const response = await fetch(`http://127.0.0.1:${dashboard}/readyz?verbose`);
  assert.equal(response.status, 200);
  return ((await response.json()) as { checks: Record<string, unknown> }).checks;
}

test('a stopped dashboard is replaced; one whose broker was stopped is not', async (t) => {
  await using broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
  const isListening = ({ event }: { event?: string }) => event === 'dashboard.listening';
  const { pid, port } = await broker.line(isListening);
  assert.equal(port, broker.dashboard);

  broker.child.kill('SIGSTOP');
  await sleep(STALL_MS);
  broker.child.kill('SIGCONT');
  assert.equal((await readiness(broker)).dashboard, undefined);

  process.kill(pid as number, 'SIGSTOP');
  const stoppedMs = performance.now();
  const silent = await broker.line(({ event }) => event === 'dashboard.silent');
  assert.equal(silent.pid, pid, 'the first that is accused, although the broker was stalled');
  const next = await broker.line((line) => isListening(line) && line.pid !== pid);
  t.diagnostic(`replaced ${Math.round(performance.now() - stoppedMs)} ms after it was stopped`);
  assert.equal(next.port, port);
  assert.match(JSON.stringify((await readiness(broker)).dashboard), /started again once/);
  assert.equal(await broker.stop(), 0);
});
