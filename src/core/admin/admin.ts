// Answers an operator's commands from the broker's state: reads are bounded and walk in slices,
// changes are durable before they are answered. Everything comes in through `ask`.

import {
  type BackupState,
  type BucketInfo,
  type BucketRow,
  type Command,
  type ConsumerRow,
  isId,
  type Outcome,
  PEEK_MAX,
  type Refusal,
  ROWS_MAX,
  type SegmentRow,
} from '../../contract/commands.ts';
import { WHY } from '../../contract/why.ts';
import type { Broker } from '../broker.ts';
import { oldestReady } from '../buckets/lookahead.ts';
import type { Consumer } from '../connections/consumer.ts';
import type { Producer } from '../connections/producer.ts';
import { PAUSED_MAX, type Settings } from '../delivery/paused.ts';
import type { LogPorts } from '../ports/log.ts';
import { whyOf } from './explain.ts';
import { cursorText, pageOf, parseCursor } from './inventory.ts';
import { peek } from './peek.ts';
import { Purge } from './purge.ts';
import { connectionOf } from './report.ts';

/** Consumers listed for one bucket at most. */
const CONSUMERS_MAX = 100;
/** Purges that run, and finished ones that are remembered, at most. */
const PURGES_MAX = 64;
const TWO_32 = 2n ** 32n;

/** Makes backups of the log, one at a time. */
export interface BackupMaker {
  readonly state: BackupState | null;
  /** `settings`: files beside the log. */
  begin(into: string, settings: () => { name: string; text: string }[], done: Done): void;
  cancel(): BackupState | null;
}

export interface AdminOptions {
  broker: Broker;
  log: Pick<LogPorts, 'space' | 'reader' | 'index'>;
  settings: Settings;
  backups?: BackupMaker;
  wallMs: () => number;
  base64: (bytes: Uint8Array) => string;
  /** Calls back in a later turn of the event loop. */
  soon: (call: () => void) => void;
}

type Done = (outcome: Outcome) => void;
type BackupCommand = Extract<Command, { kind: 'backup' | 'backup-state' | 'backup-cancel' }>;

export class Admin {
  readonly #options: AdminOptions;
  // By bucket, oldest first; those that are done are kept for whoever asks how it went.
  readonly #purges = new Map<string, Purge>();
  readonly #startedMs: number;

  constructor(options: AdminOptions) {
    this.#options = options;
    const { broker } = options;
    this.#startedMs = broker.latency.clockMs();
    broker.onBatch((batch) => {
      for (const purge of this.#purges.values()) purge.durable(batch.settledMarks);
    });
  }

  /** Carries out a command. `done` comes once, in this turn or a later one. */
  ask(command: Command, done: Done): void {
    this.#options.broker.stir();
    const outcome = this.#options.broker.closing
      ? refuse('stopping', 'the broker is stopping: ask again when it has started')
      : this.#carryOut(command, done);
    if (outcome !== undefined) done(outcome);
  }

  // Undefined: the outcome comes later, through `done`.
  #carryOut(command: Command, done: Done): Outcome | undefined {
    switch (command.kind) {
      case 'buckets':
        return this.#buckets(command, done);
      case 'bucket':
        return this.#bucket(command.id);
      case 'peek':
        return this.#peek(command, done);
      case 'connections':
        return this.#connections(command);
      case 'segments':
        return this.#segments(command);
      case 'close':
        return this.#close(command.connection);
      case 'pause':
        return this.#pause(command.id, true, done);
      case 'resume':
        return this.#pause(command.id, false, done);
      case 'purge':
        return this.#purge(command.id);
      case 'backup':
      case 'backup-state':
      case 'backup-cancel':
        return this.#backup(command, done);
      default:
        return refuse('bad-request', 'there is no such command');
    }
  }

  // Slot of a bucket; 0: it is not known, which is what an empty one is.
  #slotOf(id: string): number {
    const [low, high] = wordsOf(id);
    return this.#options.broker.buckets.find(low, high);
  }

  // The same for a bucket that may have messages on disk although it is not known.
  #openSlot(id: string): number {
    const { buckets } = this.#options.broker;
    const slot = this.#slotOf(id);
    if (slot !== 0 || !buckets.isPartial) return slot;
    const [low, high] = wordsOf(id);
    return buckets.open(low, high);
  }

  #buckets(command: Extract<Command, { kind: 'buckets' }>, done: Done): Outcome | undefined {
    const { broker, soon } = this.#options;
    const { sort, cursor, prefix } = command;
    if (prefix !== undefined && !/^\d{1,20}$/.test(prefix))
      return refuse('bad-request', `"${prefix}" is no beginning of an id: give digits`);
    const place = cursor === undefined ? undefined : parseCursor(sort, cursor);
    if (cursor !== undefined && place === undefined)
      return refuse('bad-request', `the cursor is not one of a list by ${sort}: start again`);
    const limit = bounded(command.limit, ROWS_MAX);
    pageOf(broker, { sort, limit, cursor: place, prefix }, soon, (slots, next) => {
      const consumers = this.#consumersBySlot();
      const rows = slots.map((slot) => this.#row(slot, consumers.get(slot) ?? []));
      const { count, isPartial: more } = broker.buckets;
      const end = next === undefined ? null : cursorText(sort, next);
      done({ ok: true, result: { buckets: rows, cursor: end, count, more } });
    });
    return undefined;
  }

  #consumersBySlot(): Map<number, Consumer[]> {
    const bySlot = new Map<number, Consumer[]>();
    for (const consumer of this.#options.broker.consumers) {
      if (consumer.slot === 0 || consumer.state === 'closed') continue;
      const there = bySlot.get(consumer.slot);
      if (there === undefined) bySlot.set(consumer.slot, [consumer]);
      else there.push(consumer);
    }
    return bySlot;
  }

  #row(slot: number, consumers: readonly Consumer[]): BucketRow {
    const { broker, wallMs } = this.#options;
    const { buckets } = broker;
    const id = buckets.idOf(slot);
    const now = wallMs();
    return {
      id,
      ready: Math.max(0, buckets.readyOf(slot)),
      unacked: buckets.unackedOf(slot),
      exact: buckets.isCounted(slot),
      consumers: consumers.length,
      publishedRate: tenths(buckets.rates.publishedOf(slot)),
      settledRate: tenths(buckets.rates.settledOf(slot)),
      ...this.#age(slot),
      paused: broker.paused.has(id),
      why: whyOf(broker, slot, {
        consumers,
        isPurging: broker.dispatcher.takersOf(slot) > 0,
        wallMs: now,
      }),
    };
  }

  #age(slot: number): Pick<BucketRow, 'oldestAgeMs' | 'ageIs'> {
    const { buckets, retention, latency } = this.#options.broker;
    const now = latency.clockMs();
    const oldest = Math.max(oldestReady(buckets, slot), retention.oldestSequence);
    const known = oldestReady(buckets, slot) !== 0;
    if (!known || (buckets.readyOf(slot) <= 0 && buckets.isCounted(slot)))
      return { oldestAgeMs: null, ageIs: 'exact' };
    const at = latency.times.of(oldest);
    // Stored before this start, or so long ago that only that much is remembered.
    if (at === undefined)
      return { oldestAgeMs: Math.floor(now - this.#startedMs), ageIs: 'at-least' };
    const ageIs = buckets.headOf(slot).isOlder ? 'at-most' : 'exact';
    return { oldestAgeMs: Math.floor(now - at), ageIs };
  }

  #bucket(id: string): Outcome {
    const { broker } = this.#options;
    if (!isId(id)) return notAnId(id);
    const slot = this.#openSlot(id);
    const purge = this.#purges.get(id)?.state ?? null;
    const consumers = this.#consumersBySlot().get(slot) ?? [];
    const row = slot === 0 ? this.#emptyRow(id) : this.#row(slot, consumers);
    const returned = broker.buckets.subscription(slot)?.requeued.slices ?? [];
    const info: BucketInfo = {
      ...row,
      returned: returned.reduce((sum, { count }) => sum + count, 0),
      consumersList: consumers.slice(0, CONSUMERS_MAX).map((each) => this.#consumer(each)),
      purge: purge === null ? null : { ...purge },
    };
    return { ok: true, result: info };
  }

  // A bucket that holds nothing and that nobody watches does not exist, and is shown as empty.
  #emptyRow(id: string): BucketRow {
    const { broker } = this.#options;
    const nothing = { ready: 0, unacked: 0, exact: true, consumers: 0 };
    const rates = { publishedRate: 0, settledRate: 0, oldestAgeMs: null, ageIs: 'exact' } as const;
    const code = broker.commit.refuses ? 'storage-full' : 'empty';
    const why = { code, text: WHY[code] } as const;
    return { id, ...nothing, ...rates, paused: broker.paused.has(id), why };
  }

  #consumer(consumer: Consumer): ConsumerRow {
    const { link, consumerId, state, batchSize, unacked, messages, heardMs } = consumer;
    const silentMs = Math.max(0, Math.round(this.#options.broker.reportMs - heardMs));
    const { id: connection, peer } = link;
    return { connection, peer, consumerId, state, batchSize, unacked, messages, silentMs };
  }

  #peek({ id, limit, bytes }: Extract<Command, { kind: 'peek' }>, done: Done): Outcome | undefined {
    const { broker, log, base64, soon } = this.#options;
    if (!isId(id)) return notAnId(id);
    const slot = this.#openSlot(id);
    if (slot === 0) return { ok: true, result: { id, messages: [], cut: false } };
    const most = bounded(limit, PEEK_MAX);
    const end: Parameters<typeof peek>[0]['done'] = (messages, cut, failure) => {
      if (failure !== undefined && messages.length === 0)
        done(refuse('failed', `the messages of bucket ${id} cannot be read: ${failure}`));
      else done({ ok: true, result: { id, messages, cut: cut || failure !== undefined } });
    };
    peek({ broker, log, slot, limit: most, bytes: Math.max(0, bytes), base64, soon, done: end });
    return undefined;
  }

  #connections({ limit, cursor }: Extract<Command, { kind: 'connections' }>): Outcome {
    const { broker } = this.#options;
    const most = bounded(limit, ROWS_MAX);
    const after = cursor === undefined ? -1 : Number(cursor);
    if (!Number.isInteger(after)) return refuse('bad-request', `"${cursor}" is no cursor`);
    const following = [...broker.producers, ...broker.consumers]
      .filter(({ link }) => link.id > after)
      .sort((a, b) => a.link.id - b.link.id);
    const shown = following.slice(0, most);
    const next = following.length > most ? String(shown.at(-1)!.link.id) : null;
    const connections = shown.map((session) => connectionOf(broker, session));
    const counts = { intake: broker.producers.size, exhaust: broker.consumers.size };
    return { ok: true, result: { connections, cursor: next, ...counts } };
  }

  #close(connection: number): Outcome {
    const { broker } = this.#options;
    const session = this.#session(connection);
    if (session === undefined)
      return refuse('not-found', `there is no connection ${connection}: it may have closed by now`);
    const { peer } = session.link;
    const text = `${peer} closed by an operator`;
    broker.notices.notice('info', 'admin.close', text, { peer, connection });
    session.closedFor = 'operator';
    session.link.destroy();
    return { ok: true, result: { connection, peer } };
  }

  #session(connection: number): Producer | Consumer | undefined {
    const { producers, consumers } = this.#options.broker;
    for (const producer of producers) if (producer.link.id === connection) return producer;
    for (const consumer of consumers) if (consumer.link.id === connection) return consumer;
    return undefined;
  }

  #segments({ limit, cursor }: Extract<Command, { kind: 'segments' }>): Outcome {
    const { broker, log } = this.#options;
    const after = cursor === undefined ? -1 : Number(cursor);
    if (!Number.isInteger(after)) return refuse('bad-request', `"${cursor}" is no cursor`);
    const { segments } = broker.retention;
    const from = segments.findIndex(({ base }) => base > after);
    const to = from < 0 ? 0 : Math.min(segments.length, from + bounded(limit, ROWS_MAX));
    const pinned = broker.retention.oldestLive()?.base;
    const rows: SegmentRow[] = [];
    for (let at = Math.max(0, from); at < to; at++) {
      const { base, messages, live, first } = segments[at]!;
      const behind = segments[at + 1];
      const last = (behind?.first ?? broker.nextSequence) - 1;
      const complete = base < broker.indexing.memoryFrom ? 'indexed' : 'complete';
      rows.push({
        base: String(base),
        bytes: log.space.fileBytes(base),
        messages,
        live,
        firstSequence: String(first),
        lastSequence: messages === 0 ? null : String(last),
        state: behind === undefined ? 'open' : complete,
        pinned: base === pinned,
      });
    }
    const next = to < segments.length && to > 0 ? String(segments[to - 1]!.base) : null;
    return { ok: true, result: { segments: rows, cursor: next, count: segments.length } };
  }

  #pause(id: string, wanted: boolean, done: Done): Outcome | undefined {
    const { broker, settings } = this.#options;
    const { paused } = broker;
    if (!isId(id)) return notAnId(id);
    const kind = wanted ? 'pause' : 'resume';
    if (wanted && !paused.has(id) && paused.count >= PAUSED_MAX)
      return refuse('too-many', `${PAUSED_MAX} buckets are paused: resume one first`);
    const before = paused.has(id);
    const change = paused.set(id, wanted);
    const written = () => paused.text();
    settings.save(written, (failure) => {
      paused.settle(change, failure === undefined);
      if (failure !== undefined) {
        const text = `bucket ${id} cannot be ${kind}d: ${failure.message}. Nothing has changed`;
        done(refuse('failed', text));
      } else {
        const text = `deliveries from bucket ${id} ${wanted ? 'are paused' : 'go on'}`;
        if (before !== wanted) broker.notices.notice('info', `admin.${kind}`, text, { bucket: id });
        done({ ok: true, result: { id, paused: wanted } });
      }
      const slot = this.#slotOf(id);
      if (slot !== 0) broker.dispatch(slot);
    });
    return undefined;
  }

  #backup(command: BackupCommand, done: Done): Outcome | undefined {
    const { backups, broker } = this.#options;
    if (backups === undefined) return refuse('failed', 'this broker makes no backups');
    if (command.kind === 'backup') {
      const paused = () => [{ name: 'paused.json', text: broker.paused.text() }];
      broker.notices.notice('info', 'admin.backup', `backup into ${command.into}`);
      backups.begin(command.into, paused, done);
      return undefined;
    }
    const state = command.kind === 'backup-cancel' ? backups.cancel() : backups.state;
    if (state === null) return refuse('not-found', 'no backup was made since the broker started');
    return { ok: true, result: state };
  }

  #purge(id: string): Outcome {
    const { broker, wallMs, soon } = this.#options;
    if (!isId(id)) return notAnId(id);
    const before = this.#purges.get(id);
    if (before?.state.done === false) return { ok: true, result: { ...before.state } };
    const startedAt = new Date(wallMs()).toISOString();
    const slot = this.#openSlot(id);
    if (slot === 0) return { ok: true, result: { bucket: id, startedAt, purged: 0, done: true } };
    this.#purges.delete(id);
    for (const [bucket, { state }] of this.#purges)
      if (state.done && this.#purges.size >= PURGES_MAX) this.#purges.delete(bucket);
    if (this.#purges.size >= PURGES_MAX)
      return refuse('too-many', `${PURGES_MAX} purges are running: wait for one to end`);
    broker.notices.notice('info', 'admin.purge', `purging bucket ${id}`, { bucket: id });
    const purge = new Purge({
      broker,
      slot,
      startedAt,
      soon,
      done: ({ state: { purged } }) => {
        const text = `${purged} messages of bucket ${id} were purged`;
        broker.notices.notice('info', 'admin.purged', text, { bucket: id, purged });
      },
    });
    this.#purges.set(id, purge);
    return { ok: true, result: { ...purge.state } };
  }
}

function refuse(code: Refusal['code'], detail: string): Refusal {
  return { ok: false, code, detail };
}

function notAnId(id: unknown): Refusal {
  const text = `"${String(id).slice(0, 40)}" is no bucket: an id is a number from 0 to 2^64 - 1`;
  return refuse('bad-request', text);
}

function wordsOf(id: string): [low: number, high: number] {
  const value = BigInt(id);
  return [Number(value % TWO_32), Number(value / TWO_32)];
}

function bounded(limit: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(limit) || 1));
}

function tenths(rate: number): number {
  return Math.round(rate * 10) / 10;
}
