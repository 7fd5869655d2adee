// Shows the messages at the head of a bucket's line, own or dead, without taking them: what came
// back, what was looked up, what is in indexes on disk, what is in entries, in that order.

import {
  MESSAGE_SIZE_BYTES,
  RECORD_BUCKET_AT,
  RECORD_FORM_AT,
  RECORD_HEADER_BYTES,
  RECORD_PLACED,
  RECORD_SEQUENCE_AT,
  RECORD_TYPE_AT,
} from '../../../assembly/layout.ts';
import { FORM_FIELDS, HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import { PEEK_BYTES_MAX, type PeekedMessage } from '../../contract/commands.ts';
import type { MovedMessage } from '../../contract/dead-messages.ts';
import type { Broker } from '../broker.ts';
import { inEntries, lookahead, partsOf } from '../buckets/lookahead.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Run } from '../buckets/sought.ts';
import type { Position } from '../ports/basics.ts';
import type { LogPorts } from '../ports/log.ts';
import { KIND_NAMES, REASON_NAMES } from '../records/names.ts';
import { bytesAt, type Head, readHead } from '../records/placed.ts';
import { join } from '../records/rows.ts';

/** Segments searched, and loads tried, before a peek gives up: it must end. */
const SEGMENTS_MAX = 10_000;
const LOADS_MAX = 4;

export interface PeekOptions {
  broker: Broker;
  log: Pick<LogPorts, 'reader' | 'index'>;
  slot: number;
  /** Messages at most, and bytes of each. */
  limit: number;
  bytes: number;
  /** Only messages with this sequence or a higher one. */
  from?: number | undefined;
  /** Bytes read for it at most, about; what is left then is not looked at. */
  readMost?: number;
  base64: (bytes: Uint8Array) => string;
  soon: (call: () => void) => void;
  /** `failure`: why it ended early; what was read until then is given all the same. */
  done: (messages: PeekedMessage[], cut: boolean, failure: string | undefined) => void;
}

/** Begins a peek. */
export function peek(options: PeekOptions): void {
  new Peek(options).start();
}

class Peek {
  readonly #options: PeekOptions;
  readonly #id: string;
  readonly #kind: number;
  readonly #messages: PeekedMessage[] = [];
  #parts: Slice[] = [];
  #wanted = 0;
  #bytes = 0;
  #readBytes = 0;
  #isCut = false;
  #searched = 0;

  constructor(options: PeekOptions) {
    this.#options = options;
    this.#id = options.broker.buckets.idOf(options.slot);
    this.#kind = options.broker.buckets.kindOf(options.slot);
  }

  start(): void {
    const { broker, slot, limit, from, soon } = this.#options;
    if (!this.#isThere()) {
      this.#end();
      return;
    }
    this.#parts = [];
    this.#wanted = limit;
    const { parts, sought, older } = lookahead(broker.buckets, slot, limit, from);
    if (sought.length === 0) this.#goOn(parts, older);
    else if (broker.indexing.releasing) soon(() => this.start());
    else this.#seek(sought, parts, older);
  }

  // What is sought in indexes, one after the other, and stands among the parts that are known.
  #seek(sought: Run[], parts: Slice[], older: number | undefined): void {
    const { broker, log, slot, limit } = this.#options;
    const { segments } = broker.retention;
    const run = sought.shift();
    const segment = run && segments[broker.retention.indexOf(run.sequence)];
    if (run === undefined || segment === undefined || ++this.#searched > SEGMENTS_MAX) {
      this.#goOn(
        parts.sort((a, b) => a.sequence - b.sequence),
        older,
      );
      return;
    }
    const { low, high, kind } = broker.buckets.placeOf(slot);
    const query = { base: segment.base, low, high, kind, sequence: run.sequence, at: 0 };
    log.index.find(query, limit, (failure, found) => {
      if (failure !== undefined || !this.#isThere()) {
        this.#end(failure?.message);
        return;
      }
      parts.push(...partsOf(broker.buckets, slot, found, run));
      const behind = segments[broker.retention.indexFrom(segment.base + 1)]?.first ?? 0;
      const end = run.sequence + run.count;
      if (behind > run.sequence && behind < end)
        sought.unshift({ sequence: behind, count: end - behind });
      this.#seek(sought, parts, older);
    });
  }

  #goOn(parts: Slice[], older: number | undefined): void {
    const { broker, soon } = this.#options;
    this.#add(parts);
    if (older === undefined || this.#wanted <= 0) this.#inMemory();
    // While a segment is on its way from entries to its index, part of it is in neither's care.
    else if (broker.indexing.releasing) soon(() => this.start());
    else {
      const { segments } = broker.retention;
      const first = segments[broker.retention.indexOf(older)];
      this.#search(first?.base ?? 0, 0, older);
    }
  }

  // The line may be forgotten while the disk works.
  #isThere(): boolean {
    const { slot } = this.#options;
    const { buckets } = this.#options.broker;
    if (!buckets.inUse(slot) || buckets.kindOf(slot) !== this.#kind) return false;
    return buckets.idOf(slot) === this.#id;
  }

  #add(parts: Slice[]): void {
    for (const part of parts) {
      if (this.#wanted <= 0) return;
      this.#parts.push(part);
      this.#wanted -= part.count;
    }
  }

  // Looks into the indexes from the segment at `base` on.
  #search(base: Position, at: number, sequence: number): void {
    const { broker, log, slot, limit } = this.#options;
    const bound = broker.indexing.memoryFrom;
    const segment = broker.retention.oldestLive(base);
    if (segment === undefined || segment.base >= bound || ++this.#searched > SEGMENTS_MAX) {
      this.#inMemory();
      return;
    }
    const { low, high, kind } = broker.buckets.placeOf(slot);
    const from = segment.base === base ? at : 0;
    const query = { base: segment.base, low, high, kind, sequence, at: from };
    log.index.find(query, limit, (failure, found, next) => {
      if (failure !== undefined || !this.#isThere()) {
        this.#end(failure?.message);
        return;
      }
      this.#add(broker.buckets.indexed.slicesOf(slot, found, sequence));
      // Should the place be one in an index that is gone, the search begins again by sequence.
      const last = found.at(-1);
      const behind = last === undefined ? sequence : last.sequence + last.messages;
      if (this.#wanted <= 0) this.#read(0, 0);
      else if (next !== undefined) this.#search(segment.base, next, behind);
      else this.#search(segment.base + 1, 0, behind);
    });
  }

  #inMemory(): void {
    const { broker, slot, limit, from } = this.#options;
    if (this.#wanted > 0) this.#add(inEntries(broker.buckets, slot, limit, from));
    this.#read(0, 0);
  }

  // Reads the parts one after the other; `tries`: loads of this one so far.
  #read(index: number, tries: number): void {
    const { log, broker, limit, readMost = Number.POSITIVE_INFINITY } = this.#options;
    const part = this.#parts[index];
    if (part === undefined || this.#messages.length >= limit) {
      this.#end();
      return;
    }
    const bytes = RECORD_HEADER_BYTES + part.bodyBytes;
    if (tries === 0) this.#readBytes += bytes;
    if (this.#readBytes > readMost && index > 0) {
      this.#isCut = true;
      this.#end();
      return;
    }
    const hot = broker.commit.hot(part.position);
    const place = hot >= 0 ? hot : log.reader.resident(part.position, bytes);
    if (place >= 0) {
      const failure = this.#take(place, part);
      if (failure !== undefined || this.#bytes >= PEEK_BYTES_MAX) this.#end(failure);
      else this.#read(index + 1, 0);
    } else if (tries >= LOADS_MAX) this.#end('the record could not be brought into memory');
    else
      log.reader.load(part.position, bytes, (failure) => {
        if (failure !== undefined) this.#end(failure.message);
        else this.#read(index, tries + 1);
      });
  }

  // Copies the part's messages out of memory. Compaction may have moved other records there.
  #take(place: number, part: Slice): string | undefined {
    const { limit, bytes: most, base64 } = this.#options;
    const { memory } = this.#options.broker.codec;
    const view = new DataView(memory.buffer, memory.byteOffset + place);
    const word = (at: number) => view.getUint32(at, true);
    const sequence = join(word(RECORD_SEQUENCE_AT), word(RECORD_SEQUENCE_AT + 4));
    const bucket = view.getBigUint64(RECORD_BUCKET_AT, true).toString();
    if (bucket !== this.#id || sequence !== part.sequence - part.first)
      return 'the log was compacted meanwhile: ask again';
    const isPlaced = view.getUint8(RECORD_TYPE_AT) === RECORD_PLACED;
    const head = isPlaced ? readHead(view, RECORD_HEADER_BYTES) : undefined;
    const fields = isPlaced && (view.getUint8(RECORD_FORM_AT) & FORM_FIELDS) !== 0;
    let at = RECORD_HEADER_BYTES + (isPlaced ? HEAD_BYTES : 0);
    for (let i = 0; i < part.first + part.count; i++) {
      const from = bytesAt(view, at, fields);
      at += MESSAGE_SIZE_BYTES + word(at);
      const length = at - from;
      const begin = place + from;
      if (i < part.first) continue;
      if (this.#messages.length >= limit || this.#bytes >= PEEK_BYTES_MAX) return undefined;
      const shown = Math.min(length, most, PEEK_BYTES_MAX - this.#bytes);
      this.#bytes += shown;
      this.#messages.push({
        sequence: String(sequence + i),
        attempts: part.attempts,
        length,
        truncated: shown < length,
        payload: base64(memory.subarray(begin, begin + shown)),
        ...(head !== undefined && head.from > 0 ? { moved: movedOf(head, i) } : {}),
      });
    }
    return undefined;
  }

  #end(failure?: string): void {
    const { limit, done } = this.#options;
    if (this.#bytes >= PEEK_BYTES_MAX && this.#messages.length < limit) this.#isCut = true;
    done(this.#messages, this.#isCut, failure);
  }
}

// Where the `i`-th message of a placed record was before.
function movedOf(head: Head, i: number): MovedMessage {
  const timeOf = (ms: number) => (ms === 0 ? null : new Date(ms).toISOString());
  return {
    reason: REASON_NAMES[head.reason] ?? 'moved',
    bucket: String(head.fromBucket),
    line: KIND_NAMES[head.fromKind]!,
    sequence: String(head.from + i),
    attempts: head.fromAttempts,
    publishedAt: timeOf(head.publishedMs),
    movedAt: timeOf(head.movedMs),
  };
}
