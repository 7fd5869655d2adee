// What the model knows of each message and each connection of a world.

import { REASON_MAX } from '../../assembly/layout-placed.ts';
import { DeliveryDecoder, type Wire } from '../../src/codec/wire.ts';
import type { DropReason } from '../../src/core/metrics/counters.ts';

/** What a consumer asked for, when: at least and at most so many ms. */
export interface Asked {
  least: number;
  most: number;
  atMs: number;
}

/** What is known of a message's delays. */
export interface Delays {
  /** Since its consumer answered, until the broker has decided. */
  asked: Asked | undefined;
  /** Of the last deferral that the broker made, durable or not. */
  dueMs: number;
  /** Durable deferrals, and when the last of them is over; 0: none. */
  turn: number;
  durableDueMs: number;
  /** It became ready after that. */
  fired: boolean;
}

/** A message that nobody has seen yet. */
export function newMessage(id: number, bucket: number, length: number): Message {
  return {
    id,
    bucket,
    isDead: false,
    origin: bucket,
    hops: 0,
    isRejected: false,
    order: undefined,
    isHusk: false,
    length,
    sentMs: { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY },
    state: 'sent',
    ...nowhere(),
  };
}

/** What is known of a message at a place where nothing has happened to it. */
export function nowhere() {
  return {
    sequence: 0,
    position: 0,
    storedMs: 0,
    lateMs: 0,
    low: 0,
    high: 0,
    durableAttempts: 0,
    marksDue: [] as number[],
    delays: noDelays(),
    levels: noLevels(),
    doneDurable: false,
    doneBefore: false,
    forgotten: false,
    highBefore: 0,
    doubtful: false,
    unsure: false,
    wasUnsure: false,
    dropped: false,
    moved: 'no' as const,
    takenFrom: undefined,
  };
}

export function noDelays(): Delays {
  return { asked: undefined, dueMs: 0, turn: 0, durableDueMs: 0, fired: false };
}

/** What is known of how far apart from others a message comes. */
export interface Levels {
  level: number;
  /** What the log says, and what came since the first time that it was to say so. */
  durable: number;
  since: number[];
}

export function noLevels(): Levels {
  return { level: 0, durable: 0, since: [] };
}

/** Where a message is to be moved by the broker, and why: see deaths.ts. */
export interface Order {
  /** A REASON of layout-placed.ts. */
  reason: number;
  /** Of those that are given back: the bucket; undefined: where it was. */
  to: number | undefined;
}

export interface Message {
  id: number;
  bucket: number;
  /** It is in the dead line of its bucket, or was until it was taken to be given back. */
  isDead: boolean;
  /** Where it was before that, and moves to other buckets since it was published or given back. */
  origin: number;
  hops: number;
  /** A consumer rejected it in this life, and the broker could not move it at once. */
  isRejected: boolean;
  /** What the broker is about to do with it. */
  order: Order | undefined;
  /** It was here, and a durable record says that it is elsewhere now. */
  isHusk: boolean;
  length: number;
  state:
    | 'sent'
    | 'appended'
    | 'ready'
    | 'held'
    | 'answered'
    | 'pending'
    | 'waiting'
    | 'dying'
    | 'dead'
    | 'leaving'
    | 'done'
    | 'refused'
    | 'gone'
    | 'aside';
  sequence: number;
  position: number;
  /** When the batch was complete with which it came there, by the wall clock; and how much later
   * than that it may count. */
  storedMs: number;
  lateMs: number;
  /** Deliveries that ended without an ack: at least and at most, as a crash leaves it open. */
  low: number;
  high: number;
  /** As far as durable marks tell. */
  durableAttempts: number;
  /** What it came to with each failure whose mark is in no batch yet. */
  marksDue: number[];
  delays: Delays;
  levels: Levels;
  /** What the wall clock showed since it was sent and until it was written: least and most. */
  sentMs: { least: number; most: number };
  doneDurable: boolean;
  /** Acked in a life that ended before the log said so; a checkpoint may know. */
  doneBefore: boolean;
  /** A start without a checkpoint forgot that it was acked; an older checkpoint may know it yet. */
  forgotten: boolean;
  /** Deliveries that ended without an ack, as far as such a checkpoint may count them. */
  highBefore: number;
  /** What waits behind it may come first: a part of its segment could not be searched. */
  doubtful: boolean;
  /** It was acked, no durable batch says so, and it may have been left out by a compaction. */
  unsure: boolean;
  wasUnsure: boolean;
  /** A compaction left it out. */
  dropped: boolean;
  /** Its segment was compacted while a consumer held it; it came back since. */
  moved: 'no' | 'held' | 'back';
  /** Who held it until a lease was over; nobody may have it before that connection is closed. */
  takenFrom: ConsumerModel | undefined;
}

/** What the end of the broker brings back. */
export const OUT_OF_LINE: ReadonlySet<Message['state']> = new Set([
  'dying',
  'leaving',
  'held',
  'answered',
  'pending',
  'waiting',
  'aside',
]);

/** How a message is called in what is said of it. */
export function name({ id, bucket, sequence }: Message): string {
  return `message ${id} of bucket ${bucket}${sequence > 0 ? ` (sequence ${sequence})` : ''}`;
}

/** What a producer was promised a reply for. */
export interface Owed {
  messages: { message: Message | undefined; why: 'empty' | 'large' | 'again' | undefined }[];
}

export class ProducerModel {
  readonly owed: Owed[] = [];
  /** Place in the order of this connection of its last message in the log. */
  lastAppended = -1;
  readonly order = new Map<Message, number>();
  /** The broker has closed its connection. */
  closed = false;
}

export class ConsumerModel {
  readonly bucket: number;
  readonly batchSize: number;
  readonly held: Message[] = [];
  readonly decoder: DeliveryDecoder;
  heartbeat = false;
  /** Of what it holds, in ms; 0: none. And when it was sent that, or something was heard of it. */
  leaseMs = 0;
  sinceMs = 0;
  /** Its lease is over. */
  isOver = false;
  /** The broker has closed its connection. */
  closed = false;

  constructor(bucket: number, batchSize: number, wire: Wire) {
    this.bucket = bucket;
    this.batchSize = batchSize;
    this.decoder = new DeliveryDecoder(wire);
  }
}

/** What the broker counted in this life, as the model knows it. */
export class Expected {
  published = 0;
  copied = 0;
  empty = 0;
  large = 0;
  full = 0;
  delivered = 0;
  acked = 0;
  failed = 0;
  rejected = 0;
  /** Messages that died, by REASON; kept nowhere, not where their rule says; given back. */
  readonly dead = new Array<number>(REASON_MAX + 1).fill(0);
  discarded = 0;
  fallback = 0;
  redriven = 0;
  released = 0;
  readonly dropped: Record<DropReason, number> = { overflow: 0, expired: 0, 'dead-keep': 0 };
  deferred = 0;
  redeliveredLow = 0;
  redeliveredHigh = 0;
  heartbeats = 0;
  leasesOver = 0;
}
