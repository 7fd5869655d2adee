// What a broker is given: the state that recovery left, the world as ports, and its bounds.

import type { Consumer } from './connections/consumer.ts';
import type { Dialect } from './connections/greeting.ts';
import type { ForegroundTraffic } from './fairness/foreground.ts';
import type { IntakePolicy } from './fairness/intake-policy.ts';
import type { Limits } from './limits.ts';
import type { Codec } from './ports/codec.ts';
import type { LogPorts } from './ports/log.ts';
import type { Notices } from './ports/notices.ts';
import type { Observer } from './ports/observer.ts';
import type { Wake } from './ports/wake.ts';
import type { DueLog } from './records/due.ts';
import type { RuleTable } from './rules/rule-table.ts';
import type { State } from './segments/state.ts';

/** The ports of the log, and its due times (records/due.ts). */
export type Log = LogPorts & { readonly due: DueLog };

export interface BrokerOptions extends State<Consumer> {
  codec: Codec;
  /** Each may be of another make: a journal that asks others first, beside a file log's segments. */
  log: Log;
  /** Told each tick what is being served; the log was given it to read. */
  foreground: ForegroundTraffic;
  limits: Limits;
  notices: Notices;
  wake: Wake;
  wallMs: () => number;
  /** Monotonic time in ms that latencies are measured with; else that of `nowMs`. */
  clockMs?: () => number;
  /**
   * The time that `advance` tells, as fine as it is to be had between two calls; else that of the
   * last one. What is decided goes by it, and it stands still while the process does.
   */
  nowMs?: () => number;
  /** Chance, from 0 to below 1, for what rules leave to it; without it nothing is left to it. */
  random?: () => number;
  /** Whether the process has stood still just now. */
  isLate?: () => boolean;
  /**
   * Whether messages may be handed out now, asked at each dispatch: false as soon as it is not sure
   * that nobody else does. Where it is true again, deliveries go on by the next tick.
   */
  mayDeliver?: () => boolean;
  /** Rules that buckets go by; without it there are none, and there will be none. */
  ruleTable?: RuleTable | undefined;
  /** Decides about messages of the buckets that it watches, in place of the rules. */
  policy?: IntakePolicy;
  /** Told what becomes of messages, where somebody follows them. */
  observer?: Observer;
  /** Entries released in one turn, where the default is not wanted. */
  releaseMax?: number;
  /** What is spoken on every listener beside its own dialect; default: nothing. */
  dialects?: readonly Dialect[];
  /** Mode commit: an append that is done is synced. */
  strict: boolean;
  /** The log failed: no ack will leave any more, the process must stop. */
  onFailed: (failure: Error) => void;
}
