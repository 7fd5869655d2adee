// The replicated stream over JetStream: made or checked, its servers judged, then appended to and
// read. What is in flight when the connection breaks is in doubt at once; the client itself would
// let it time out.

import type { Failure } from '../../core/ports/basics.ts';
import type {
  Appended,
  ReplicatedStream,
  StreamMessage,
  StreamState,
} from '../../core/ports/stream.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel, every, type Timer } from '../../time/timers.ts';
import { outcomeOf, UNKNOWN } from './append-outcome.ts';
import { Behind } from './behind.ts';
import { dial, isNoEntry, type Nats, type StreamInfo, StreamRefused } from './nats.ts';
import { ObjectBucket } from './object-bucket.ts';
import { judge, madeStream, type StreamOptions, untilThere } from './opening.ts';
import type { RelaySource } from './relayed.ts';
import type { ServerVerdict } from './server-verdict.ts';
import { type Heard, StreamReader } from './stream-reader.ts';
import { isAnother, logIdIn, streamName, subjectOf, whyRefused } from './stream-settings.ts';

export { StreamRefused } from './nats.ts';
export type { StreamOptions } from './opening.ts';

// Whoever appends loses patience long before; an answer that comes later than that still counts.
const APPEND_MS = 5000;
const JUDGE_MS = 60_000;
const JUDGEMENTS_TO_REPEAT = 60;
/** While the servers do not let this node in, it is said so often. */
const NO_ENTRY_MS = 60_000;
const STAYS_MS = 1500;

/**
 * Connects, makes the stream if there is none, and checks it and its servers. Waits, and warns,
 * while no server answers.
 * @throws StreamRefused where an operator is needed; the reason of `signal` once it is aborted.
 */
export async function connectStream(options: StreamOptions): Promise<JetStreamLink> {
  const nats = await untilThere(options, () => dial(options));
  try {
    const info = await untilThere(options, () => madeStream(nats, options));
    const { createdBefore = info.created } = options;
    const complaint = whyRefused(info, options, createdBefore);
    if (complaint !== undefined)
      throw new StreamRefused(complaint, isAnother(info.created, createdBefore) ? 74 : 78);
    const verdict = await judge(nats, info, options);
    const problem = verdict.problems.map(({ text }) => text).join('\n');
    if (problem !== '') throw new StreamRefused(problem);
    for (const text of verdict.warnings) options.warn(text);
    return new JetStreamLink(nats, options, info, verdict);
  } catch (error) {
    await nats.connection.close();
    throw error;
  }
}

type Done = (appended: Appended) => void;

/** How nodes spare the servers what they can tell each other. */
export interface Relay {
  /** The stream has confirmed this message, under this number. */
  stored(sequence: number, bytes: Uint8Array): void;
  /** What it has confirmed to another node. */
  source: RelaySource;
}

/** A stream that was found to be as it must be. */
export class JetStreamLink implements ReplicatedStream {
  /** When the stream was made. */
  readonly created: string;
  readonly name: string;
  /** LOG_ID, unsigned, that it was made for. */
  readonly logId: bigint;
  readonly #nats: Nats;
  readonly #options: StreamOptions;
  readonly #subject: string;
  readonly #pending = new Set<Done>();
  readonly #readers = new Set<StreamReader>();
  readonly #judging: Timer;
  #verdict: ServerVerdict;
  #judgements = 0;
  #isConnected = true;
  #relay: Relay | undefined;
  readonly #behind = new Behind();
  // Since the servers do not let it in, if they do not: when that was said last.
  #noEntryMs: number | undefined;

  /** Use connectStream. */
  constructor(nats: Nats, options: StreamOptions, info: StreamInfo, verdict: ServerVerdict) {
    this.#nats = nats;
    this.#options = options;
    this.created = info.created;
    this.logId = logIdIn(info.config)!;
    this.#verdict = verdict;
    this.name = streamName(options);
    this.#subject = subjectOf(options);
    this.#judging = every(JUDGE_MS, () => void this.#judge()).unref();
    void this.#watch();
  }

  /** What the last look at the servers gave; there is one each minute. */
  get verdict(): ServerVerdict {
    return this.#verdict;
  }

  /** The largest message that the servers take, in bytes. */
  get maxPayload(): number {
    return this.#nats.connection.info?.max_payload ?? 0;
  }

  /** Whoever follows from now on hears other nodes, too, and they hear of what is appended. */
  relayBy(relay: Relay): void {
    this.#relay = relay;
  }

  append(envelope: Uint8Array, body: Uint8Array | undefined, expect: number, done: Done): void {
    // What is given to a client that is not connected is sent once it is, however late.
    if (!this.#isConnected) {
      queueMicrotask(() => done(UNKNOWN));
      return;
    }
    // Not filled with zeros first, which is felt where it is a MiB.
    const bytes = Buffer.allocUnsafeSlow(envelope.length + (body?.length ?? 0));
    bytes.set(envelope);
    if (body !== undefined) bytes.set(body, envelope.length);
    const once: Done = (appended) => {
      if (this.#pending.delete(once)) done(appended);
    };
    this.#pending.add(once);
    this.#nats.publisher
      .publish(this.#subject, bytes, { expect: { lastSequence: expect }, timeout: APPEND_MS })
      .then(({ seq }): Appended => {
        // Another number than the next is nothing that was asked for.
        if (seq !== expect + 1) return UNKNOWN;
        this.#relay?.stored(seq, bytes);
        return { ok: true, sequence: seq };
      }, outcomeOf)
      .then(once);
  }

  follow(
    from: number,
    hear: (message: StreamMessage) => boolean,
    lost: (why: string) => void,
  ): { stop(): void; resume(): void } {
    const heard: Heard = {
      hear,
      lost: (why) => {
        this.#readers.delete(reader);
        lost(why);
      },
      firstNow: async () => {
        try {
          return (await this.#nats.manager.streams.info(this.name)).state.first_seq;
        } catch {
          return undefined;
        }
      },
    };
    const reader = new StreamReader(this.#nats, this.name, from, heard, this.#relay?.source);
    this.#readers.add(reader);
    return {
      resume: () => reader.resume(),
      stop: () => {
        this.#readers.delete(reader);
        reader.stop();
      },
    };
  }

  read(sequence: number, done: (failure: Failure, message?: StreamMessage) => void): void {
    this.#nats.manager.direct.getMessage(this.name, { seq: sequence }).then((found) => {
      if (found === null) {
        done(undefined);
        const isBehind = this.#behind.missing(sequence, performance.now());
        if (isBehind) void this.#nats.connection.reconnect().catch(() => {}); // to another server
      } else done(undefined, { sequence: found.seq, bytes: found.data });
    }, done);
  }

  state(done: (failure: Failure, state?: StreamState) => void): void {
    this.#nats.manager.streams.info(this.name).then(({ state, created, cluster }) => {
      const { first_seq, last_seq, bytes, messages } = state;
      const first = messages === 0 ? last_seq + 1 : first_seq;
      this.#behind.told(first, last_seq);
      const leader = cluster?.leader === undefined ? {} : { leader: cluster.leader };
      // Whichever copy it is that now tells when it was made.
      const made = isAnother(created, this.created) ? created : this.created;
      done(undefined, { first, last: last_seq, bytes, created: made, ...leader });
    }, done);
  }

  purge(before: number, done: (failure: Failure) => void): void {
    // Before 2.12.10, and in 2.14.0 and 2.14.1, servers take it for an order to purge everything.
    if (before <= 1) {
      queueMicrotask(() => done(undefined));
      return;
    }
    this.#nats.manager.streams.purge(this.name, { seq: before }).then(() => done(undefined), done);
  }

  connected(): boolean {
    return this.#isConnected;
  }

  /** The server that leads the stream; undefined while none does. */
  async leader(): Promise<string | undefined> {
    return (await this.#nats.manager.streams.info(this.name)).cluster?.leader || undefined;
  }

  /**
   * Asks the leader of the stream to give way, to the preferred server if servers can do that
   * (2.11). Gives false if it was refused.
   */
  async stepDownLeader(preferred?: string): Promise<boolean> {
    const order = preferred === undefined ? '' : JSON.stringify({ placement: { preferred } });
    const subject = `$JS.API.STREAM.LEADER.STEPDOWN.${this.name}`;
    const answer = await this.#nats.connection.request(subject, order, { timeout: 2000 });
    return answer.json<{ success?: boolean }>().success === true;
  }

  /** The objects of the log's bases; made, if asked for, else undefined if there are none. Rejects
   * if they cannot be had, which may pass. */
  objects(make: true): Promise<ObjectBucket>;
  objects(make: boolean): Promise<ObjectBucket | undefined>;
  objects(make: boolean): Promise<ObjectBucket | undefined> {
    return ObjectBucket.open(this.#nats, this.#options, make);
  }

  /** Whatever is in flight is in doubt. */
  async close(): Promise<void> {
    cancel(this.#judging);
    for (const reader of this.#readers) reader.stop();
    this.#readers.clear();
    this.#isConnected = false;
    this.#doubt();
    await this.#nats.connection.close();
  }

  #doubt(): void {
    for (const done of [...this.#pending]) done(UNKNOWN);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nats.connection.status()) {
      const { type } = status;
      if (type === 'reconnect') this.#enters();
      if (type === 'error' && isNoEntry(status.error)) this.#noEntry(status.error);
      if (type !== 'disconnect' && type !== 'staleConnection') continue;
      this.#isConnected = false;
      this.#doubt();
      for (const reader of this.#readers) reader.disconnected();
    }
  }

  // Credentials that have just ended let it in once more, sometimes, for the rest of a second.
  #enters(): void {
    this.#isConnected = true;
    const since = this.#noEntryMs;
    if (since === undefined) return;
    deadline(STAYS_MS, () => {
      if (this.#noEntryMs !== since || !this.#isConnected) return;
      this.#noEntryMs = undefined;
      this.#options.warn('NATS lets this node in again');
    }).unref();
  }

  // The client goes on trying, with the credentials that the file then has.
  #noEntry({ message }: Error): void {
    const now = performance.now();
    if (this.#noEntryMs !== undefined && now - this.#noEntryMs < NO_ENTRY_MS) return;
    this.#noEntryMs = now;
    this.#options.warn(
      `NATS does not let this node in any more: ${message}; trying again, with what --cluster-nats-creds then has`,
    );
  }

  async #judge(): Promise<void> {
    let verdict: ServerVerdict;
    try {
      const info = await this.#nats.manager.streams.info(this.name);
      verdict = await judge(this.#nats, info, this.#options);
    } catch {
      return; // no leader now: nothing is known that was not known before
    }
    const before = [...this.#verdict.warnings, ...this.#verdict.problems.map(({ text }) => text)];
    this.#verdict = verdict;
    this.#judgements += 1;
    const isRepeated = this.#judgements % JUDGEMENTS_TO_REPEAT === 0;
    for (const text of [...verdict.problems.map((each) => each.text), ...verdict.warnings])
      if (isRepeated || !before.includes(text)) this.#options.warn(text);
  }
}
