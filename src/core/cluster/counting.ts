// The rule that says which messages of the stream count. Every node goes by it, message by message
// in the order of the stream, so all agree on one log; the owner acks only what it would count
// itself. A number is no identity: after a new owner's start, messages of the old one may still find
// the last number that they expect. The epoch is what makes them void.

import {
  STREAM_BASE,
  STREAM_BEAT,
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { assert } from '../assert.ts';
import type { Position } from '../ports/basics.ts';
import type { StreamMessage } from '../ports/stream.ts';
import { type Checksum, type Envelope, type Fields, partOf, readEnvelope } from './envelope.ts';

/** Where a reader stands in the stream: behind message `sequence`, with no batch half read. */
export interface Place {
  readonly sequence: number;
  /** Of the last start that counts. */
  readonly epoch: number;
  /** Log position behind the last complete batch. */
  readonly end: Position;
  /** Of the last base or resign of the epoch; undefined where that was not seen. */
  readonly serial: number | undefined;
}

/** A commit batch that counts, whole. */
export interface CountedBatch {
  readonly position: Position;
  /** They stay as they are: of a message that was heard, or the reader's own copy of several. */
  readonly bytes: Uint8Array;
  readonly epoch: number;
  /** Number in the stream of its first part. */
  readonly sequence: number;
  /** Where the reader stands behind it. */
  readonly place: Place;
}

/** What a message means. `envelope` is there where it counts. */
export type Verdict =
  | { is: 'counts'; envelope: Envelope; batch: CountedBatch | undefined }
  | { is: 'void'; why: string }
  /** A number is missing before it: purged, or lost. Nothing has changed. */
  | { is: 'gap' }
  /** Nobody may go on from here: exit code and reason. */
  | { is: 'stop'; code: number; why: string };

export interface CountingOptions {
  readonly logId: bigint;
  readonly crc32c: Checksum;
  /** Where the first record behind a batch goes that closes its segment and stands at `position`. */
  readonly nextSegment: (position: Position) => Position;
  /** Largest batch that is read, in bytes: that of a segment. */
  readonly batchBytesMax: number;
}

/** The state of the rule, for one reader. */
export class Counting {
  readonly #options: CountingOptions;
  #place: Place | undefined;
  #sequence: number;
  #staged = 0;
  #serial: number | undefined;
  // The batch that is coming in: number of its first part, its size, and its bytes, which are not
  // there while its own sender counts it.
  #first = 0;
  #batchBytes = 0;
  #bytes: Uint8Array | undefined;
  #voids = 0;

  /** Goes on behind `place`; without one it takes the stream as it finds it, from `sequence` + 1. */
  constructor(options: CountingOptions, place: Place | undefined, sequence = 0) {
    this.#options = options;
    this.#place = place;
    this.#sequence = place?.sequence ?? sequence;
    this.#serial = place?.serial;
  }

  /** The last number that was heard. */
  get sequence(): number {
    return this.#sequence;
  }

  get epoch(): number {
    return this.#place?.epoch ?? 0;
  }

  /** Undefined until the first message of a stream without a place. */
  get end(): Position | undefined {
    return this.#place?.end;
  }

  /** Bytes of the batch that is coming in. */
  get staged(): number {
    return this.#staged;
  }

  /** Serial number of the last base or resign of this epoch. */
  get serial(): number {
    return this.#serial ?? 0;
  }

  /** Messages that were passed over. */
  get voids(): number {
    return this.#voids;
  }

  /** Takes the next message of the stream. `keep`: gives its bytes with a batch that is complete. */
  hear(message: StreamMessage, keep = true): Verdict {
    if (message.sequence !== this.#sequence + 1) return { is: 'gap' };
    const { logId, crc32c } = this.#options;
    const envelope = readEnvelope(message.bytes, logId, crc32c);
    if (envelope === 'version') {
      const why = `message ${message.sequence} of the stream is of a newer version`;
      return { is: 'stop', code: 78, why };
    }
    if (typeof envelope !== 'string')
      return this.count(envelope, keep ? partOf(message.bytes, envelope) : undefined);
    this.#sequence++;
    return this.#void(envelope);
  }

  /** The same for a message that was read already, or that its sender knows to be the next one. */
  count(envelope: Envelope, part: Uint8Array | undefined): Verdict {
    this.#place ??= this.#beginWith(envelope);
    this.#sequence++;
    if (envelope.kind === STREAM_START) return this.#start(envelope, part);
    // Whoever sent it began with a start that counted, and that start is not among what was heard.
    if (envelope.epoch > this.epoch)
      return this.#stop(`is of epoch ${envelope.epoch}, whose start did not come`);
    if (envelope.epoch !== this.epoch) return this.#void('epoch');
    return envelope.kind === STREAM_PART ? this.#part(envelope, part) : this.#other(envelope);
  }

  // Streams are purged up to a part that counts and begins a batch, so that can be gone by.
  #beginWith({ kind, epoch, position, offset }: Fields): Place | undefined {
    if ((kind !== STREAM_START && kind !== STREAM_PART) || offset !== 0) return undefined;
    const before = kind === STREAM_START ? epoch - 1 : epoch;
    return { sequence: this.#sequence, epoch: before, end: position, serial: undefined };
  }

  #start(envelope: Envelope, part: Uint8Array | undefined): Verdict {
    if (envelope.epoch <= this.epoch) return this.#void('epoch');
    const { epoch, position } = envelope;
    // Its sender has counted up to there, all of it among what stands before. Where a fence fails,
    // that may be more than its sender has counted.
    if (position > this.end!)
      return this.#stop(`begins epoch ${epoch} at log position ${position}`);
    if (position !== this.end) return this.#void('position');
    if (envelope.batchBytes > this.#options.batchBytesMax) return this.#void('size');
    this.#drop();
    this.#place = { ...this.#place!, epoch };
    this.#serial = 0;
    return this.#take(envelope, part);
  }

  #part(envelope: Envelope, part: Uint8Array | undefined): Verdict {
    if (envelope.position !== this.end) return this.#void('position');
    if (envelope.offset !== this.#staged) return this.#void('offset');
    const { batchBytes, offset } = envelope;
    if (batchBytes > this.#options.batchBytesMax) return this.#void('size');
    if (offset > 0 && batchBytes !== this.#batchBytes) return this.#void('size');
    return this.#take(envelope, part);
  }

  // Of what is told once, each has the next number: one that was sent again counts once.
  #other(envelope: Envelope): Verdict {
    const { kind, offset, position } = envelope;
    // As far as its sender had counted before it: an owner's messages count for all, or for none.
    if (position > this.end!) return this.#stop(`says that the log goes to position ${position}`);
    if (kind === STREAM_BASE || kind === STREAM_RESIGN) {
      if (offset !== (this.#serial ?? offset - 1) + 1) return this.#void('serial');
      this.#serial = offset;
    } else assert(kind === STREAM_BEAT, `kind ${kind} of a message is not told apart`);
    return { is: 'counts', envelope, batch: undefined };
  }

  #take(envelope: Envelope, part: Uint8Array | undefined): Verdict {
    const { position, batchBytes, offset } = envelope;
    if (offset === 0) {
      this.#first = this.#sequence;
      this.#batchBytes = batchBytes;
      const isWhole = part?.length === batchBytes;
      this.#bytes = isWhole ? part : part && new Uint8Array(batchBytes);
    }
    if (part === undefined) this.#bytes = undefined;
    else if (part.length < batchBytes) this.#bytes?.set(part, offset);
    this.#staged = offset + envelope.partBytes;
    if (this.#staged < batchBytes) return { is: 'counts', envelope, batch: undefined };
    const { epoch } = envelope;
    const end = envelope.closes ? this.#options.nextSegment(position) : position + batchBytes;
    this.#place = { sequence: this.#sequence, epoch, end, serial: this.#serial };
    const bytes = this.#bytes ?? NOTHING;
    const batch = { position, bytes, epoch, sequence: this.#first, place: this.#place };
    this.#drop();
    return { is: 'counts', envelope, batch };
  }

  #stop(how: string): Verdict {
    const before = this.end === undefined ? 'is not known' : `ends at log position ${this.end}`;
    const why = `message ${this.#sequence} of the stream ${how}, but what came before it ${before}, in epoch ${this.epoch}: servers of NATS have lost something that they confirmed, or have not all the same`;
    return { is: 'stop', code: 74, why };
  }

  #drop(): void {
    this.#staged = 0;
    this.#bytes = undefined;
  }

  #void(why: string): Verdict {
    this.#voids++;
    return { is: 'void', why };
  }
}

const NOTHING = new Uint8Array(0);
