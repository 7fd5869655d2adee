// The numbers of a broker, which are those of the model between two events.

import assert from 'node:assert/strict';
import type { Counters } from '../../src/core/metrics/counters.ts';
import { judgeCount, judgeCounters } from './counters.ts';
import type { Deaths } from './deaths.ts';
import type { Lines } from './lines.ts';
import type { Expected } from './model.ts';

/** What a broker counts: since its start, and messages at this time. */
export interface Numbers {
  counters: Counters;
  live: number;
  ready: number;
  unacked: number;
  delayed: number;
  dead: number;
}

/** The same of the model. */
interface Counted {
  readonly expected: Expected;
  readonly deaths: Deaths;
  readonly lines: Pick<Lines, 'readyCount' | 'delayed'>;
  readonly heldCount: number;
  readonly asideCount: number;
  /** Of those that are ready: they may be gone. */
  readonly unsureCount: number;
}

/** Fails where they differ by more than a crash leaves open. */
export function judgeNumbers(broker: Numbers, model: Counted): void {
  const { counters, live, ready, unacked, delayed, dead } = broker;
  const { expected, deaths, lines } = model;
  const alive = lines.readyCount + model.heldCount + lines.delayed.size + model.asideCount;
  const open = model.unsureCount;
  judgeCount(live, alive + deaths.size, open, 'unsettled messages');
  const out = model.heldCount + deaths.dying.size;
  assert.equal(unacked, out, 'messages that consumers hold, or that are dying');
  assert.equal(dead, deaths.dead.size, 'dead messages');
  judgeCount(ready, lines.readyCount, open, 'messages wait');
  judgeCount(delayed, lines.delayed.size, open, 'messages are to be ready at a time');
  judgeCounters(counters, expected);
}
