// The child's side of operators' commands: a few under way at a time, a short queue behind them, and
// for questions an answer that is kept for a moment, so that a flood of requests costs the broker
// little.

import { CHANGES, type Command, type Outcome } from '../contract/commands.ts';
import { deadline } from '../time/deadline.ts';
import { cancel } from '../time/timers.ts';
import { COMMANDS_MAX } from './messages.ts';

const QUEUE_MAX = 64;
const FRESH_MS = 250;
const KEPT_MAX = 64;
const PATIENCE_MS = 5000;

/** Carries out a command of the broker's. Never rejects. */
export type RunCommand = (command: Command) => Promise<Outcome>;

interface Waiting {
  command: Command;
  settle: (outcome: Outcome) => void;
}

export class Commander {
  readonly #send: (id: number, command: Command) => void;
  readonly #now: () => number;
  readonly #patienceMs: number;
  readonly #sent = new Map<number, (outcome: Outcome) => void>();
  readonly #queue: Waiting[] = [];
  readonly #kept = new Map<string, { atMs: number; outcome: Promise<Outcome> }>();
  #id = 0;

  /** `send` puts a command on the channel; `now` is monotonic, in milliseconds. */
  constructor(
    send: (id: number, command: Command) => void,
    now: () => number = () => performance.now(),
    patienceMs = PATIENCE_MS,
  ) {
    this.#send = send;
    this.#now = now;
    this.#patienceMs = patienceMs;
  }

  /** Carries out a command; a question may be answered as it was up to 250 ms ago. */
  run(command: Command): Promise<Outcome> {
    if (CHANGES.includes(command.kind)) {
      this.#kept.clear(); // whoever changes something wants to see it
      return this.#start(command);
    }
    const key = JSON.stringify(command);
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#now() - kept.atMs < FRESH_MS) return kept.outcome;
    const outcome = this.#start(command);
    this.#kept.delete(key);
    this.#kept.set(key, { atMs: this.#now(), outcome });
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    return outcome;
  }

  #start(command: Command): Promise<Outcome> {
    if (this.#queue.length >= QUEUE_MAX) {
      const detail = `${QUEUE_MAX} requests wait for the broker: try again`;
      return Promise.resolve({ ok: false, code: 'too-many', detail });
    }
    return new Promise((settle) => {
      this.#queue.push({ command, settle });
      this.#next();
    });
  }

  #next(): void {
    while (this.#sent.size < COMMANDS_MAX) {
      const waiting = this.#queue.shift();
      if (waiting === undefined) return;
      const { command, settle } = waiting;
      const id = ++this.#id;
      const detail = `the broker has not answered for ${this.#patienceMs / 1000} s`;
      const late: Outcome = { ok: false, code: 'stopping', detail };
      // Its place is free again only with the broker's answer, so that no more than it allows are
      // ever under way.
      const timer = deadline(this.#patienceMs, () => settle(late));
      this.#sent.set(id, (outcome) => {
        cancel(timer);
        settle(outcome);
      });
      this.#send(id, command);
    }
  }

  /** Takes an outcome off the channel. */
  answered(id: number, outcome: Outcome): void {
    this.#sent.get(id)?.(outcome);
    this.#sent.delete(id);
    this.#next();
  }
}
