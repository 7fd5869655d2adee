// What one call of a producer handed over: its messages in columns, how far they were sent and
// acked, and the promise that waits for them. Knows nothing of frames or sockets.
//
//   0 ────────── acked ────────── sent ────────── count
//     answered         on the wire       waiting

import { ACK_REFUSED, ACK_STORED } from '../../assembly/layout.ts';
import {
  type BucketLike,
  encodeBatch,
  messageBytes,
  parseU64,
  type Wire,
  WireError,
} from '../codec/wire.ts';
import { onAbort } from './abort.ts';
import { ThrustError, usage } from './errors.ts';
import { Queued } from './queue.ts';

/** A message to publish. The body must not be changed until its call has settled. */
export interface Outgoing {
  readonly bucket: BucketLike;
  /** 1 byte … 64 MiB; strings travel as UTF-8. */
  readonly body: Uint8Array | string;
}

/** Checks a body and turns a string into bytes. Throws USAGE. */
export function bodyBytes(body: Uint8Array | string, bytesMax: number): Uint8Array {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  if (!(bytes instanceof Uint8Array))
    throw new ThrustError('USAGE', `a body is a Uint8Array or a string, not ${typeof body}`);
  if (bytes.length === 0)
    throw new ThrustError('USAGE', 'a message of 0 bytes cannot be published');
  if (bytes.length > bytesMax)
    throw new ThrustError(
      'USAGE',
      `a message of ${bytes.length} bytes is larger than messageBytesMax, ${bytesMax}`,
    );
  return bytes;
}

/** Messages encoded once, to be sent any number of times: the fastest way to publish. */
export class EncodedBatch {
  readonly count: number;
  readonly wire: Wire;
  readonly bytes: Uint8Array;

  /** At most 65,536 messages; throws USAGE. */
  constructor(messages: readonly Outgoing[], wire: Wire = 'u64') {
    this.count = messages.length;
    this.wire = wire;
    this.bytes = usage(() =>
      encodeBatch(
        messages.map(({ bucket, body }) => ({
          bucket: parseU64(bucket),
          body: bodyBytes(body, Number.POSITIVE_INFINITY),
        })),
        wire,
      ),
    );
  }
}

export interface Columns {
  readonly buckets: readonly bigint[];
  readonly bodies: readonly Uint8Array[];
  /** Bytes on the wire without the batch header. */
  readonly bytes: number;
}

/** Checks messages and puts them into columns. Throws USAGE naming the message that is wrong. */
export function toColumns(messages: readonly Outgoing[], wire: Wire, bytesMax: number): Columns {
  const buckets: bigint[] = [];
  const bodies: Uint8Array[] = [];
  let bytes = 0;
  let raw: BucketLike | undefined; // runs for one bucket are the rule: check it once
  let bucket = 0n;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index];
    try {
      if (message.bucket !== raw || raw === undefined) {
        bucket = parseU64(message.bucket);
        raw = message.bucket;
      }
      const body = bodyBytes(message.body, bytesMax);
      buckets.push(bucket);
      bodies.push(body);
      bytes += messageBytes(body.length, wire);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new ThrustError('USAGE', `message ${index}: ${text}`, { cause });
    }
  }
  return { buckets, bodies, bytes };
}

const NONE: Columns = { buckets: [], bodies: [], bytes: 0 };
const UNANSWERED = 255;
const NO_ACKS = new Uint8Array(0);
const NOBODY = () => {};

export class Publication extends Queued<Publication> {
  readonly count: number;
  sent = 0;
  acked = 0;
  /** Some of it was on a connection that was lost, so that it may be stored already. */
  retried = false;
  /** Its promise has settled; acks that still come for it are counted and dropped. */
  settled = false;
  #columns: Columns;
  #encoded: EncodedBatch | undefined;
  #acks: Uint8Array;
  #resolve: (acks: Uint8Array) => void;
  #reject: (error: unknown) => void;
  #unlisten: (() => void) | undefined;

  constructor(
    content: Columns | EncodedBatch,
    resolve: (acks: Uint8Array) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    if (content instanceof EncodedBatch) {
      this.count = content.count;
      this.#encoded = content;
      this.#columns = NONE;
    } else {
      this.count = content.bodies.length;
      this.#columns = content;
    }
    this.#acks = new Uint8Array(this.count).fill(UNANSWERED);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get columns(): Columns {
    return this.#columns;
  }

  /** Given when it goes as it is, in a wire batch of its own. */
  get encoded(): EncodedBatch | undefined {
    return this.#encoded;
  }

  /** Messages on the wire that were not answered. */
  get outstanding(): number {
    return this.sent - this.acked;
  }

  /** Nothing more will be sent for it and every ack that can come has come. */
  get finished(): boolean {
    return this.acked === this.sent && (this.settled || this.acked === this.count);
  }

  /** Waits for `signal` to fire; `callback` then settles it. */
  listen(signal: AbortSignal, callback: () => void): void {
    this.#unlisten = onAbort(signal, callback);
  }

  /** Takes `take` ack bytes from `at`. WireError for a byte other than 0 and 1. */
  answer(chunk: Uint8Array, at: number, take: number): void {
    for (let index = 0; index < take; index++) {
      const byte = chunk[at + index];
      if (byte !== ACK_STORED && byte !== ACK_REFUSED)
        throw new WireError(`an ack byte is 0 or 1, not ${byte}`);
      if (!this.settled) this.#acks[this.acked + index] = byte;
    }
    this.acked += take;
    if (this.acked < this.count || this.settled) return;
    this.#resolve(this.#acks);
    this.#settle();
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.#reject(error);
    this.#settle();
  }

  /** What is known of each message, for errors of batches; undefined for a single message. */
  results(): readonly (boolean | undefined)[] | undefined {
    if (this.count === 1) return undefined;
    return Array.from(this.#acks, (byte) =>
      byte === UNANSWERED ? undefined : byte === ACK_STORED,
    );
  }

  /** The connection is gone: what was not answered is to be sent again. */
  rewind(): void {
    this.retried ||= this.outstanding > 0;
    if (this.settled || this.#encoded !== undefined) this.acked = 0; // goes again as a whole
    this.sent = this.acked;
  }

  /** Lets go of everything large: it may have to wait for acks of what is on the wire. */
  #settle(): void {
    this.settled = true;
    this.#columns = NONE;
    this.#encoded = undefined;
    this.#acks = NO_ACKS;
    this.#resolve = NOBODY;
    this.#reject = NOBODY;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }
}
