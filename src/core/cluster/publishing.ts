// An owner's messages on their way into the stream, in one chain: each expects the number that the
// one before it gets. Only what stands in an unbroken prefix is confirmed, since a success behind a
// failure may have found another owner's number. Any failure is a doubt: what stands there is read,
// by the rule that all readers go by, and the rest of the same bytes is sent again. A start and a
// resign are sent alone: what is behind a start would speak of an epoch that may never begin, and a
// resign says that nothing more comes.

import {
  STREAM_BEAT,
  STREAM_ENVELOPE_BYTES,
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_START,
} from '../../../assembly/layout-cluster.ts';
import { assert } from '../assert.ts';
import type { Position } from '../ports/basics.ts';
import type { Appended, StreamMessage } from '../ports/stream.ts';
import type { Verdict } from './counting.ts';
import { type Envelope, isAlone, isSame, isSignOfLife, writeEnvelope } from './envelope.ts';
import type { Done, PublishingOptions } from './publishing-options.ts';

interface Item {
  readonly envelope: Uint8Array;
  readonly body: Uint8Array | undefined;
  readonly fields: Envelope;
  readonly done: Done | undefined;
  /** When it was sent first and last; what was found by reading may be the first. */
  firstMs: number;
  lastMs: number;
  /** Of its PubAck, and when what that answers was sent. */
  sequence: number;
  sentMs: number;
}

/** What has no answer for so long is looked for, and sent again; its answer counts all the same. */
const PATIENCE_MS = 500;
/** How long what is in doubt rests before it is looked at again, a full stream, and one into which
 * this node may not publish, in ms. */
const RETRY_MS = 50;
const FULL_MS = 250;
const FORBIDDEN_MS = 1000;

export class Publishing {
  readonly #options: PublishingOptions;
  readonly #chain: Item[] = [];
  // How many of the chain were sent since the last doubt, and their bytes.
  #sent = 0;
  #bytes = 0;
  #serial = 0;
  #signMs: number;
  // That something was not stored says nothing any more of what was sent before a doubt.
  #generation = 0;
  #doubting = false;
  #asking = false;
  #retryMs = 0;
  #ended = false;
  #full = false;
  #forbidden: string | undefined;
  #resigned = false;

  constructor(options: PublishingOptions) {
    this.#options = options;
    this.#signMs = options.clockMs();
  }

  get doubting(): boolean {
    return this.#doubting;
  }

  /** Whether the stream has no room for what was to be sent. */
  get full(): boolean {
    return this.#full;
  }

  /** Why this node has no right to publish what it had to, if it has none. */
  get forbidden(): string | undefined {
    return this.#forbidden;
  }

  /** When the last was sent that says that this node works. */
  get signMs(): number {
    return this.#signMs;
  }

  /** A whole batch, in as many parts as it takes; or the start, in one. The bytes stay as they are
   * until `done`. */
  batch(position: Position, bytes: Uint8Array, closes: boolean, start: boolean, done: Done): void {
    const { partBytes, json } = this.#options;
    const common = { closes, position, batchBytes: bytes.length };
    if (start) {
      const body = new Uint8Array(json.length + bytes.length);
      body.set(json);
      body.set(bytes, json.length);
      this.#add({ ...common, kind: STREAM_START, offset: 0, jsonBytes: json.length }, body, done);
    } else
      for (let offset = 0; offset < bytes.length; offset += partBytes) {
        const part = bytes.subarray(offset, offset + partBytes);
        const isLast = offset + part.length === bytes.length;
        const fields = { ...common, kind: STREAM_PART, offset, jsonBytes: 0 };
        this.#add(fields, part, isLast ? done : undefined);
      }
    this.#send();
  }

  beat(): void {
    this.#other(STREAM_BEAT, this.#options.json, 0, undefined);
  }

  /** A base or a resign: each counts once. */
  tell(kind: number, json: Uint8Array | undefined, done: Done): void {
    this.#other(kind, json, ++this.#serial, done);
  }

  /** Nothing more is sent or told; who waits is told that it failed. */
  end(why: string): void {
    this.#ended = true;
    for (const { done } of this.#chain.splice(0)) done?.(new Error(why));
  }

  /** Looks whether anything stands behind what was confirmed, as nothing is being sent. */
  look(): void {
    if (!this.#doubting && this.#chain.length === 0) this.#doubt();
  }

  tick(nowMs: number): void {
    const first = this.#chain[0];
    if (this.#doubting) {
      if (!this.#asking && nowMs >= this.#retryMs) this.#ask();
    } else if (first !== undefined && this.#sent > 0 && nowMs - first.lastMs >= PATIENCE_MS)
      this.#doubt();
  }

  #other(kind: number, json: Uint8Array | undefined, offset: number, done: Done | undefined): void {
    const { counting } = this.#options;
    const position = counting.end ?? 0;
    const jsonBytes = json?.length ?? 0;
    this.#add({ kind, closes: false, position, batchBytes: 0, offset, jsonBytes }, json, done);
    this.#send();
  }

  #add(
    said: Omit<Envelope, 'logId' | 'epoch' | 'node' | 'partBytes'>,
    body: Uint8Array | undefined,
    done: Done | undefined,
  ): void {
    const { logId, epoch, node, crc32c } = this.#options;
    const partBytes = (body?.length ?? 0) - said.jsonBytes;
    const fields = { ...said, logId, epoch, node, partBytes };
    const envelope = new Uint8Array(STREAM_ENVELOPE_BYTES);
    writeEnvelope(envelope, fields, body, crc32c);
    const notSent = { firstMs: -1, lastMs: -1, sequence: -1, sentMs: -1 };
    this.#chain.push({ envelope, body, fields, done, ...notSent });
  }

  // Sends what there is room for. While something is in doubt, only `#again` sends.
  #send(): void {
    if (this.#doubting || this.#ended || this.#resigned) return;
    const { inFlightBytes } = this.#options;
    while (this.#sent < this.#chain.length) {
      const item = this.#chain[this.#sent]!;
      const bytes = item.body?.length ?? 0;
      if (this.#sent > 0 && this.#bytes + bytes > inFlightBytes) return;
      const [kind, first] = [item.fields.kind, this.#chain[0]!.fields.kind];
      if (this.#sent > 0 && (isAlone(kind) || isAlone(first))) return;
      this.#append(item);
    }
  }

  #append(item: Item): void {
    const { stream, counting, clockMs } = this.#options;
    const expect = counting.sequence + this.#sent;
    const generation = this.#generation;
    this.#sent++;
    this.#bytes += item.body?.length ?? 0;
    item.sequence = -1;
    const sentMs = clockMs();
    item.lastMs = sentMs;
    if (item.firstMs < 0) item.firstMs = sentMs;
    if (isSignOfLife(item.fields.kind)) this.#signMs = sentMs;
    stream.append(item.envelope, item.body, expect, (appended) => {
      // What was sent more than once may count by now.
      if (this.#ended || !this.#chain.includes(item)) return;
      if (appended.ok && appended.sequence === expect + 1) this.#stored(item, expect + 1, sentMs);
      else if (generation === this.#generation) this.#failed(appended);
    });
  }

  #failed(appended: Appended): void {
    if (appended.ok) this.#doubt();
    else if (appended.why === 'refused') this.#options.events.stop(78, appended.text);
    else {
      this.#full = appended.why === 'full';
      // Whatever else was answered was let through.
      if (appended.why !== 'unknown') this.#forbidden = undefined;
      if (appended.why === 'forbidden') {
        this.#forbidden = appended.text;
        this.#doubt(FORBIDDEN_MS);
      } else this.#doubt(this.#full ? FULL_MS : this.#doubting ? RETRY_MS : 0);
    }
  }

  // However late it is told: it is true for ever, and it counts where all before it does.
  #stored(item: Item, sequence: number, sentMs: number): void {
    this.#full = false;
    this.#forbidden = undefined;
    item.sequence = sequence;
    item.sentMs = sentMs;
    const { counting } = this.#options;
    while (this.#chain[0]?.sequence === counting.sequence + 1) {
      this.#confirm(this.#chain[0]);
      this.#doubting = false; // what is still on its way was sent behind it, or is sent again
    }
    this.#send();
  }

  #confirm(item: Item): void {
    const verdict = this.#options.counting.count(item.fields, undefined);
    assert(verdict.is === 'counts', `what was stored as the next does not count`);
    this.#gone(item, verdict, item.sentMs);
  }

  #gone(item: Item, verdict: Verdict, sentMs: number): void {
    const at = this.#chain.indexOf(item);
    this.#chain.splice(at, 1);
    if (at < this.#sent) {
      this.#sent--;
      this.#bytes -= item.body?.length ?? 0;
    }
    if (item.fields.kind === STREAM_RESIGN) this.#resigned = true;
    this.#options.events.confirmed(verdict, sentMs);
    item.done?.(undefined);
  }

  #doubt(restMs = 0): void {
    this.#generation++;
    this.#sent = 0;
    this.#bytes = 0;
    this.#doubting = true;
    this.#retryMs = this.#options.clockMs() + restMs;
    if (restMs === 0) this.#ask();
  }

  // Reads what stands behind the last number that was counted.
  #ask(): void {
    const { stream, counting, clockMs } = this.#options;
    if (this.#asking || this.#ended) return;
    this.#asking = true;
    const generation = this.#generation;
    stream.read(counting.sequence + 1, (failure, message) => {
      this.#asking = false;
      if (this.#ended || !this.#doubting || generation !== this.#generation) return;
      if (failure !== undefined) this.#retryMs = clockMs() + RETRY_MS;
      else if (message === undefined) this.#again();
      else if (this.#read(message)) this.#ask();
    });
  }

  // Nothing stands there, as far as is known: only an append tells for sure.
  #again(): void {
    const first = this.#chain[0];
    if (first !== undefined && !this.#resigned) {
      this.#generation++;
      this.#retryMs = this.#options.clockMs() + PATIENCE_MS;
      this.#append(first);
    } else {
      this.#doubting = false;
      this.#send();
    }
  }

  // Takes what was read; false if there is nothing to go on for.
  #read(message: StreamMessage): boolean {
    const { counting, epoch, node, events } = this.#options;
    const verdict = counting.hear(message, false);
    if (verdict.is === 'stop') events.stop(verdict.code, verdict.why);
    if (verdict.is === 'gap') events.stop(74, `asked for ${counting.sequence + 1} of the stream`);
    if (verdict.is === 'void') return true;
    if (verdict.is !== 'counts') return false;
    const { envelope } = verdict;
    const item = this.#chain.find((each) => isSame(each.envelope, message.bytes));
    if (item !== undefined) {
      this.#gone(item, verdict, item.firstMs);
      return !this.#ended;
    }
    if (envelope.epoch === epoch && envelope.node === node && envelope.kind === STREAM_BEAT)
      return true;
    const { epoch: its, node: whose } = envelope;
    events.lost(`message ${message.sequence} of epoch ${its}, node ${whose}`, envelope, message);
    return false;
  }
}
