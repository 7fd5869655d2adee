// Judges what clients of a cluster saw. It knows nothing of nodes, owners or faults: what is wrong
// follows from the order of events at the clients and from the protocol alone, so no time is
// allowed for, and none can be too short. What the judgement rests on:
//
// - A consumer is given its next batch only when all of the last one is answered. So a delivery was
//   sent off behind the last answer before it, and it proves that who sent it knew that answer.
// - A connection is served by one owner in one life, and breaks with it. So between its first event
//   and the last answer that a later delivery followed, that owner owned, and no other did. (A
//   heartbeat does not prove as much: who is no owner any more may send one before it knows.)
// - What consumers have acked goes into the next commit, so a publish that was begun after the ack
//   was known and is acked by the same owner proves that the ack is stored.

import type { Connection, EventKind, HistoryEvent } from './history.ts';

export interface Recorded {
  events: readonly HistoryEvent[];
  connections: readonly Connection[];
  buckets: readonly number[];
}

export interface Rules {
  /** Whether all that was acked was waited for, so that what did not come is lost. */
  isDrained: boolean;
  /** Whether messages of a bucket come in the order of their publishes. Default: all. */
  isOrdered?: (bucket: number) => boolean;
  /** Whether what is published again in a bucket is stored once. Default: none. */
  isOnceOnly?: (bucket: number) => boolean;
  /** The least time from a publish to its delivery, ms. Default 0. */
  delayMs?: (bucket: number) => number;
}

export interface Judgement {
  published: number;
  stored: number;
  refused: number;
  unknown: number;
  delivered: number;
  /** Deliveries of messages that had been delivered before. */
  again: number;
  /** Of these: acked by a consumer before, the ack was lost. */
  acksLost: number;
  /** What is wrong, each with the message and its kind. */
  problems: Problem[];
}

export type Wrong = 'lost' | 'invented' | 'order' | 'twice' | 'early' | 'protocol';

export interface Problem {
  wrong: Wrong;
  /** -1 where it is about no message. */
  number: number;
  text: string;
}

/** One delivery. */
interface Delivery {
  at: number;
  connection: number;
  /** It was sent off behind this. */
  sentAfter: number;
  answered: number;
  isDone: boolean;
}

interface Publish {
  at: number;
  ms: number;
  connection: number;
  outcome: 'stored' | 'refused' | 'unknown';
  answered: number;
}

interface Message {
  publishes: Publish[];
  deliveries: Delivery[];
}

const NEVER = Number.POSITIVE_INFINITY;

/** Of one consumer's connection. */
class Line {
  readonly opened: number;
  /** The last answer that a later delivery followed. */
  servedUntil: number;
  /** The last answer so far. */
  lastAnswer: number;
  /** Deliveries that are not answered yet. */
  readonly open: Delivery[] = [];
  /** Deliveries and heartbeats, in order. */
  readonly heard: number[] = [];
  closed = NEVER;
  /** Messages that it may have been given and that never came. */
  excuses: number;

  constructor(opened: number, batch: number) {
    this.opened = opened;
    this.servedUntil = opened;
    this.lastAnswer = opened;
    this.excuses = batch;
  }

  /** When it is first heard behind `place`; NEVER: it is not. */
  firstHeardAfter(place: number): number {
    return this.heard[above(this.heard, place)] ?? NEVER;
  }
}

/** Index of the first of an ascending list that is above a value. */
function above(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function check(recorded: Recorded, rules: Rules): Judgement {
  return new Check(recorded, rules).judge();
}

class Check {
  readonly #recorded: Recorded;
  readonly #rules: Rules;
  readonly #messages: Message[];
  readonly #lines = new Map<number, Line>();
  readonly #linesOfBucket = new Map<number, Line[]>();
  // Publishes that were stored, by when they were begun: the earliest answer of all from there on.
  readonly #stored: { begun: number[]; earliestAnswer: number[] } = {
    begun: [],
    earliestAnswer: [],
  };
  readonly #judgement: Judgement = {
    ...{ published: 0, stored: 0, refused: 0, unknown: 0, delivered: 0, again: 0, acksLost: 0 },
    problems: [],
  };

  constructor(recorded: Recorded, rules: Rules) {
    this.#recorded = recorded;
    this.#rules = rules;
    this.#messages = recorded.buckets.map(() => ({ publishes: [], deliveries: [] }));
  }

  judge(): Judgement {
    this.#recorded.events.forEach((event, at) => {
      this.#take(event, at);
    });
    this.#sortStored();
    this.#messages.forEach((message, number) => {
      this.#count(message);
      this.#judgePresence(message, number);
      this.#judgeRepeats(message, number);
    });
    this.#judgeOrder();
    return this.#judgement;
  }

  #wrong(wrong: Wrong, number: number, text: string): void {
    this.#judgement.problems.push({ wrong, number, text });
  }

  #take({ kind, connection, number, ms }: HistoryEvent, at: number): void {
    const { side, bucket, batch } = this.#recorded.connections[connection]!;
    if (kind === 'open' && side === 'consumer') {
      const line = new Line(at, batch);
      this.#lines.set(connection, line);
      const others = this.#linesOfBucket.get(bucket);
      if (others === undefined) this.#linesOfBucket.set(bucket, [line]);
      else others.push(line);
    } else if (kind === 'foreign') {
      this.#wrong('invented', -1, `bytes that no producer made came out of bucket ${bucket}`);
    } else if (side === 'producer') this.#takePublish(kind, connection, number, at, ms);
    else this.#takeDelivery(kind, connection, number, at, ms);
  }

  #takePublish(kind: EventKind, connection: number, number: number, at: number, ms: number): void {
    if (number < 0) return;
    const { publishes } = this.#messages[number]!;
    if (kind === 'publish') {
      publishes.push({ at, ms, connection, outcome: 'unknown', answered: NEVER });
      return;
    }
    const publish = publishes.find(
      (each) => each.connection === connection && each.answered === NEVER,
    );
    if (publish === undefined) {
      this.#wrong('protocol', number, `an answer to ${number}, which was not owed`);
      return;
    }
    publish.outcome = kind === 'stored' ? 'stored' : 'refused';
    publish.answered = at;
  }

  #takeDelivery(kind: EventKind, connection: number, number: number, at: number, ms: number): void {
    const line = this.#lines.get(connection)!;
    if (kind === 'close') line.closed = at;
    else if (kind === 'beat') {
      line.heard.push(at);
      line.lastAnswer = at;
    } else if (kind === 'deliver') {
      line.heard.push(at);
      line.servedUntil = line.lastAnswer;
      const delivery: Delivery = {
        ...{ at, connection, sentAfter: line.lastAnswer, answered: NEVER, isDone: false },
      };
      line.open.push(delivery);
      const message = this.#messages[number];
      if (message === undefined) this.#wrong('invented', number, `${number} was never made`);
      else this.#deliver(message, delivery, number, ms);
    } else if (kind === 'done' || kind === 'failed') {
      const delivery = line.open.shift();
      if (delivery === undefined) throw new Error(`${number} is answered before it was delivered`);
      delivery.answered = at;
      delivery.isDone = kind === 'done';
      line.lastAnswer = at;
    }
  }

  #deliver(message: Message, delivery: Delivery, number: number, ms: number): void {
    const bucket = this.#recorded.connections[delivery.connection]!.bucket;
    if (bucket !== this.#recorded.buckets[number])
      this.#wrong('invented', number, `${number} came out of bucket ${bucket}`);
    const [first] = message.publishes;
    if (first === undefined) this.#wrong('invented', number, `${number} came before its publish`);
    const delayMs = this.#rules.delayMs?.(bucket) ?? 0;
    if (first !== undefined && ms - first.ms < delayMs)
      this.#wrong('early', number, `${number} came after ${ms - first.ms} of ${delayMs} ms`);
    message.deliveries.push(delivery);
  }

  #sortStored(): void {
    const stored = this.#messages
      .flatMap(({ publishes }) => publishes.filter(({ outcome }) => outcome === 'stored'))
      .sort((one, other) => one.at - other.at);
    let earliest = NEVER;
    const answers = stored.map(() => 0);
    for (let i = stored.length - 1; i >= 0; i--) {
      earliest = Math.min(earliest, stored[i]!.answered);
      answers[i] = earliest;
    }
    this.#stored.begun = stored.map(({ at }) => at);
    this.#stored.earliestAnswer = answers;
  }

  #count({ publishes, deliveries }: Message): void {
    const judgement = this.#judgement;
    for (const { outcome } of publishes) {
      judgement.published++;
      judgement[outcome]++;
    }
    judgement.delivered += deliveries.length;
    judgement.again += Math.max(0, deliveries.length - 1);
    judgement.acksLost += deliveries.slice(0, -1).filter(({ isDone }) => isDone).length;
  }

  #judgePresence({ publishes, deliveries }: Message, number: number): void {
    const isStored = publishes.some(({ outcome }) => outcome === 'stored');
    if (this.#rules.isDrained && isStored && !deliveries.some(({ isDone }) => isDone))
      this.#wrong(
        'lost',
        number,
        deliveries.length === 0
          ? `${number} was acked and never came`
          : `${number} was acked, delivered, and not again after that came to nothing`,
      );
    const isRefused = publishes.every(({ outcome }) => outcome === 'refused');
    if (publishes.length > 0 && isRefused && deliveries.length > 0)
      this.#wrong('invented', number, `${number} was refused and came all the same`);
  }

  #judgeRepeats({ publishes, deliveries }: Message, number: number): void {
    const bucket = this.#recorded.buckets[number]!;
    if (publishes.length > 1 && this.#rules.isOnceOnly?.(bucket) !== true) return;
    for (let later = 1; later < deliveries.length; later++)
      for (let earlier = 0; earlier < later; earlier++) {
        const why = this.#whyTwice(deliveries[earlier]!, deliveries[later]!);
        if (why === undefined) continue;
        this.#wrong('twice', number, `${number} came again ${why}`);
        return;
      }
  }

  /** Why the later delivery may not have been; undefined: nothing is proved against it. */
  #whyTwice(earlier: Delivery, later: Delivery): string | undefined {
    const line = this.#lines.get(earlier.connection)!;
    const isHandedBack = earlier.answered < later.at && !earlier.isDone;
    if (earlier.connection === later.connection)
      return isHandedBack ? undefined : 'on the connection that had it already';
    // One owner sent both off, and still served the earlier one's connection.
    if (!isHandedBack && later.sentAfter > earlier.at && line.servedUntil > later.at)
      return earlier.answered < later.at
        ? 'although the owner that was told it is done went on'
        : 'while another consumer held it';
    if (!earlier.isDone) return undefined;
    const provedAt = this.#storedBy(line, earlier.answered);
    return later.sentAfter > provedAt ? 'although that it is done was stored' : undefined;
  }

  /** From when on an answer of a consumer is proved to be stored; NEVER: it is not. */
  #storedBy(line: Line, answered: number): number {
    const known = line.firstHeardAfter(answered);
    if (known === NEVER) return NEVER;
    const { begun, earliestAnswer } = this.#stored;
    const publishAcked = earliestAnswer[above(begun, known)] ?? NEVER;
    // The owner must still have been the same.
    return line.servedUntil > publishAcked ? publishAcked : NEVER;
  }

  #judgeOrder(): void {
    const firsts = new Map<number, { number: number; first: Delivery; publish: Publish }[]>();
    this.#messages.forEach(({ publishes, deliveries }, number) => {
      const bucket = this.#recorded.buckets[number]!;
      const [first] = deliveries;
      const [publish] = publishes;
      if (first === undefined || publish === undefined || publishes.length > 1) return;
      if (this.#rules.isOrdered?.(bucket) === false) return;
      if (!firsts.has(bucket)) firsts.set(bucket, []);
      firsts.get(bucket)!.push({ number, first, publish });
    });
    for (const [bucket, list] of firsts) {
      list.sort((one, other) => one.first.at - other.first.at);
      const all = new Latest();
      const ofProducer = new Map<number, Latest>();
      for (const { number, first, publish } of list) {
        let own = ofProducer.get(publish.connection);
        if (own === undefined) {
          own = new Latest();
          ofProducer.set(publish.connection, own);
        }
        // Both of one connection, or this one acked before that one was begun.
        const isBehind =
          own.before(first.sentAfter) > publish.at ||
          all.before(first.sentAfter) > publish.answered;
        if (isBehind && !this.#isExcused(bucket, first))
          this.#wrong('order', number, `${number} came behind what was published after it`);
        own.add(first.at, publish.at);
        all.add(first.at, publish.at);
      }
    }
  }

  /** Whether another connection may have been given it, and have ended before it came. */
  #isExcused(bucket: number, { at, connection }: Delivery): boolean {
    const own = this.#lines.get(connection)!;
    const holder = this.#linesOfBucket.get(bucket)!.find((line) => {
      if (line === own || line.opened > at || line.closed === NEVER) return false;
      if (line.excuses === 0 || line.open.length > 0) return false;
      return line.firstHeardAfter(at) === NEVER;
    });
    if (holder === undefined) return false;
    holder.excuses--;
    return true;
  }
}

/** The latest publish of what was delivered up to a place. */
class Latest {
  readonly #delivered: number[] = [];
  readonly #latest: number[] = [];

  /** In the order of deliveries. */
  add(delivered: number, published: number): void {
    this.#latest.push(Math.max(published, this.#latest.at(-1) ?? -1));
    this.#delivered.push(delivered);
  }

  before(place: number): number {
    return this.#latest[above(this.#delivered, place) - 1] ?? -1;
  }
}
