// What becomes of messages, for people who follow them: events on channels of diagnostics_channel,
// and trace lines for one bucket. Neighbours to which the same happens in one turn are joined, so
// events come out when the turn is over, in order. Only where very many come in one turn do the
// first of them come out before, in the middle of the core; what a subscriber throws never gets
// there.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type Channel, channel } from 'node:diagnostics_channel';
import { channelOf, type MessageEvent, type MessageEventName } from '../contract/message-events.ts';
import { idText } from '../core/buckets/subscription.ts';
import type {
  DeferredCause,
  Holder,
  Observer,
  RequeuedCause,
  Run,
  SettledCause,
} from '../core/ports/observer.ts';
import { type Logger, type LogLevel, RateLimitedLog } from './logger.ts';

// Of each kind of event so many lines in a second, then one that counts those left out.
const LINES_MAX = 20;
const WINDOW_MS = 1000;
// Events that wait for the end of a turn: beyond that they come out at once.
const WAITING_MAX = 1000;

export interface FollowingOptions {
  log: Logger;
  level: LogLevel;
  /** The bucket whose messages are traced, in decimal. */
  traceBucket?: string | undefined;
  /** Wall clock in ms since 1970. */
  wallMs: () => number;
}

interface Waiting {
  readonly name: MessageEventName;
  readonly event: MessageEvent;
  /** Position of the last record that was joined. */
  last: number;
  readonly traced: boolean;
}

// Where whatever a subscriber does runs, with the channel's name.
const subscriber = new AsyncLocalStorage<string>();

/**
 * The channel whose subscriber runs right now, or began what runs; undefined: our own code, or what
 * was given to `queueMicrotask`, of whose errors Node.js does not tell where they come from.
 */
export function channelAtFault(): string | undefined {
  return subscriber.getStore();
}

export class MessageChannels implements Observer {
  readonly #channels: Record<MessageEventName, Channel> = {
    sealed: channel(channelOf('sealed')),
    durable: channel(channelOf('durable')),
    delivered: channel(channelOf('delivered')),
    settled: channel(channelOf('settled')),
    requeued: channel(channelOf('requeued')),
    deferred: channel(channelOf('deferred')),
  };
  readonly #wallMs: () => number;
  readonly #trace: TraceLines | undefined;
  #waiting: Waiting[] = [];

  constructor({ log, level, traceBucket, wallMs }: FollowingOptions) {
    this.#wallMs = wallMs;
    const isTrace = level === 'trace';
    if (isTrace && traceBucket !== undefined) this.#trace = new TraceLines(log, traceBucket);
    else if (isTrace) {
      const text = 'no bucket is traced: name the one to follow with --trace-bucket ID';
      log.info({ event: 'trace.none' }, text);
    } else if (traceBucket !== undefined) {
      const text = `bucket ${traceBucket} is not traced at --log-level ${level}: it takes --log-level trace`;
      log.warn({ event: 'trace.none', bucket: traceBucket }, text);
    }
  }

  get active(): boolean {
    const { sealed, durable, delivered, settled, requeued, deferred } = this.#channels;
    return (
      this.#trace !== undefined ||
      sealed.hasSubscribers ||
      durable.hasSubscribers ||
      delivered.hasSubscribers ||
      settled.hasSubscribers ||
      requeued.hasSubscribers ||
      deferred.hasSubscribers
    );
  }

  sealed(run: Run): void {
    this.#tell('sealed', run, undefined, undefined);
  }

  durable(run: Run): void {
    this.#tell('durable', run, undefined, undefined);
  }

  delivered(run: Run, to: Holder | undefined): void {
    this.#tell('delivered', run, to, undefined);
  }

  settled(run: Run, cause: SettledCause, by: Holder | undefined): void {
    this.#tell('settled', run, by, cause);
  }

  requeued(run: Run, cause: RequeuedCause, by: Holder | undefined): void {
    this.#tell('requeued', run, by, cause);
  }

  deferred(run: Run, cause: DeferredCause, by: Holder | undefined): void {
    this.#tell('deferred', run, by, cause);
  }

  /** Says how many trace lines were left out lately; for the end of the process. */
  close(): void {
    this.#flush();
    this.#trace?.close();
  }

  #tell(
    name: MessageEventName,
    run: Run,
    holder: Holder | undefined,
    cause: MessageEvent['cause'],
  ): void {
    const traced = this.#trace?.follows(run) === true;
    if (!traced && !this.#channels[name].hasSubscribers) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.name === name && joined(last, run, holder, cause)) return;
    const event = eventOf(run, this.#wallMs(), holder, cause);
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    else if (this.#waiting.length >= WAITING_MAX) this.#flush();
    this.#waiting.push({ name, event, last: run.position, traced });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { name, event, traced } of waiting) {
      const to = this.#channels[name];
      if (to.hasSubscribers) subscriber.run(channelOf(name), () => to.publish(event));
      if (traced) this.#trace!.write(name, event);
    }
  }
}

function eventOf(
  run: Run,
  timeMs: number,
  holder: Holder | undefined,
  cause: MessageEvent['cause'],
): MessageEvent {
  const { sequence, count, position, bytes, attempts } = run;
  const bucket = idText(run.bucketLow, run.bucketHigh);
  const event: MessageEvent = { timeMs, bucket, sequence, count, position, bytes, attempts };
  if (holder !== undefined) {
    const { id: connection, peer } = holder.link;
    event.consumer = { id: holder.consumerId, peer, connection };
  }
  if (cause !== undefined) event.cause = cause;
  if (cause === 'lost' && holder !== undefined) event.closed = holder.closedFor;
  return event;
}

// Adds a run to the event that is last, if it goes on where that ends and all else is the same.
function joined(
  to: Waiting,
  run: Run,
  holder: Holder | undefined,
  cause: MessageEvent['cause'],
): boolean {
  const { event, last } = to;
  if (
    event.sequence + event.count !== run.sequence ||
    event.attempts !== run.attempts ||
    event.cause !== cause ||
    event.consumer?.connection !== holder?.link.id ||
    event.bucket !== idText(run.bucketLow, run.bucketHigh)
  )
    return false;
  event.count += run.count;
  if (run.position !== last) event.bytes += run.bytes;
  to.last = run.position;
  return true;
}

/** What becomes of the messages of one bucket, as lines of the log. */
class TraceLines {
  readonly #log: RateLimitedLog;
  readonly #low: number;
  readonly #high: number;

  constructor(log: Logger, bucket: string) {
    this.#log = new RateLimitedLog(log, { linesMax: LINES_MAX, windowMs: WINDOW_MS });
    const id = BigInt(bucket);
    this.#low = Number(BigInt.asUintN(32, id));
    this.#high = Number(id >> 32n);
    const text = `the messages of bucket ${bucket} are traced, at most ${LINES_MAX} lines a second of each kind`;
    log.info({ event: 'trace.bucket', bucket }, text);
  }

  follows({ bucketLow, bucketHigh }: Run): boolean {
    return bucketLow === this.#low && bucketHigh === this.#high;
  }

  write(name: MessageEventName, event: MessageEvent): void {
    this.#log.write(`trace.${name}`, event, sentenceOf(name, event), 'trace');
  }

  close(): void {
    this.#log.close();
  }
}

function sentenceOf(name: MessageEventName, event: MessageEvent): string {
  const { bucket, sequence, count, attempts, consumer, cause } = event;
  const what =
    count === 1 ? `message ${sequence}` : `messages ${sequence} to ${sequence + count - 1}`;
  const words = [what, 'of bucket', bucket, name];
  if (consumer !== undefined) words.push(name === 'delivered' ? 'to' : 'by', consumer.peer);
  if (cause !== undefined) words.push(`(${cause})`);
  if (attempts > 0) words.push(`after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`);
  return words.join(' ');
}
