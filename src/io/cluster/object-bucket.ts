// Objects of a log's bases in a bucket of NATS, with as many copies as the stream has. The client
// checks digests; what it leaves to wait for ever, as chunks that are gone, is given up here.
//
//   $O.<bucket>.C.<name>.<put>   chunks of an object, whose name is told, so that those of a put
//                                that was cut off are known for what they are
//   $O.<bucket>.M.<name>         that it is there as a whole, and of which put

import { createHash, randomBytes } from 'node:crypto';
import type { Held, ObjectStore, StoredObject } from '../../log/base/objects.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel, sleep, type Timer } from '../../time/timers.ts';
import { type Bucket, codeOf, dial, type Nats } from './nats.ts';
import { type StreamOptions, untilThere } from './opening.ts';
import { type StreamChoice, streamName } from './stream-settings.ts';

const STREAM_NOT_FOUND = 10_059;
const WRONG_LAST_SEQUENCE = 10_071;
// Appends go over the same connection, and wait for no more than this.
const CHUNK_BYTES = 256 * 1024;
const ANSWER_MS = 5000;
/** Of what tells one put of a name from others. */
const PUT_BYTES = 8;
/** Until somebody leads it, it is asked so often, each time for so long and with such a rest. */
const LED_TRIES = 50;
const LED_ASKED_MS = 1000;
const LED_REST_MS = 100;
/** So long nothing may come of an object that is being read. */
const SILENCE_MS = 10_000;

/** `TMQ_<cluster>_<shard>_base`. */
export function bucketName(choice: StreamChoice): string {
  return `${streamName(choice)}_base`;
}

// The bucket was made a moment ago, and not every server knows yet who takes its objects. What
// expects a last number that nothing has is refused by its leader, and stored by nobody.
async function untilLed({ publisher }: Nats, name: string): Promise<void> {
  const expect = { lastSequence: Number.MAX_SAFE_INTEGER };
  for (let tries = 1; ; tries++) {
    try {
      await publisher.publish(`$O.${name}.C.nothing`, '', { expect, timeout: LED_ASKED_MS });
    } catch (error) {
      if (codeOf(error as Error) === WRONG_LAST_SEQUENCE) return;
      if (tries === LED_TRIES) throw error;
    }
    await sleep(LED_REST_MS);
  }
}

export class ObjectBucket implements ObjectStore {
  readonly #nats: Nats;
  readonly #bucket: Bucket;
  readonly #name: string;

  private constructor(nats: Nats, bucket: Bucket, name: string) {
    this.#nats = nats;
    this.#bucket = bucket;
    this.#name = name;
  }

  /** Opens the bucket; without `make` gives undefined if there is none. Rejects if one is there
   * that would not keep what is put, or if that cannot be told now. */
  static async open(
    nats: Nats,
    choice: StreamChoice,
    make: boolean,
  ): Promise<ObjectBucket | undefined> {
    const name = bucketName(choice);
    const { replicas } = choice;
    if (make) {
      await answered(nats.buckets.create(name, { storage: 'file' as never, replicas }));
      await untilLed(nats, name);
    } else if (!(await isThere(nats, name))) return undefined;
    const bucket = await answered(nats.buckets.open(name, false));
    const { config } = await answered(nats.manager.streams.info(`OBJ_${name}`));
    const odd = [
      config.storage !== 'file' && `it is kept in ${config.storage}`,
      config.num_replicas < replicas && `it has ${config.num_replicas} replicas, not ${replicas}`,
      (config.max_age ?? 0) > 0 && 'its objects go after a time',
      config.discard !== 'new' && 'old objects go where there is no room',
    ].find((each) => each !== false);
    if (odd === undefined) return new ObjectBucket(nats, bucket, name);
    throw new Error(`bucket ${name} would not keep the base of a log: ${odd}`);
  }

  async held(): Promise<Held> {
    const filter = { subjects_filter: `$O.${this.#name}.>` };
    const info = await answered(this.#nats.manager.streams.info(`OBJ_${this.#name}`, filter));
    const parts = Object.keys(info.state.subjects ?? {}).map((each) => each.split('.').slice(2));
    const names = parts.filter(([kind]) => kind === 'M').map(([, coded]) => nameOf(coded!));
    const pieces = parts.filter(({ length }) => length === 3).map(([, coded]) => nameOf(coded!));
    const unfinished = [...new Set(pieces)].filter((name) => !names.includes(name));
    return { names, unfinished, bytes: info.state.bytes };
  }

  // As the client does it, which gives chunks a name by chance alone.
  async put(name: string, pieces: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    const before = await answered(this.#bucket.info(name));
    if (before === null) await this.#purge('C', `${codeOfName(name)}.*`);
    const nuid = `${codeOfName(name)}.${randomBytes(PUT_BYTES).toString('hex')}`;
    const hash = createHash('sha256');
    const { max_payload: most = CHUNK_BYTES } = this.#nats.connection.info ?? {};
    const chunkBytes = Math.min(CHUNK_BYTES, most);
    let size = 0;
    let chunks = 0;
    try {
      for await (const chunk of chunked(pieces, chunkBytes)) {
        await this.#nats.publisher.publish(`$O.${this.#name}.C.${nuid}`, chunk);
        hash.update(chunk);
        size += chunk.length;
        chunks += 1;
      }
      const digest = `SHA-256=${padded(hash.digest())}`;
      const options = { max_chunk_size: chunkBytes };
      const said = { name, description: '', options, bucket: this.#name, nuid, size, chunks };
      const meta = { ...said, metadata: {}, mtime: new Date().toISOString(), digest };
      const subject = `$O.${this.#name}.M.${codeOfName(name)}`;
      const { replacing: headers } = this.#nats;
      await this.#nats.publisher.publish(subject, JSON.stringify(meta), { headers });
      if (before !== null) await this.#purge('C', before.nuid);
      return { digest, bytes: size };
    } catch (error) {
      await this.#purge('C', nuid).catch(() => {}); // then it goes with the next base
      throw error;
    }
  }

  async #purge(kind: 'C' | 'M', rest: string): Promise<void> {
    const filter = `$O.${this.#name}.${kind}.${rest}`;
    await answered(this.#nats.manager.streams.purge(`OBJ_${this.#name}`, { filter }));
  }

  async get(
    name: string,
    take: (piece: Uint8Array) => Promise<void> | void,
  ): Promise<StoredObject | undefined> {
    const found = await answered(this.#bucket.get(name));
    if (found === null) return undefined;
    found.error.catch(() => {}); // the reader tells it, too
    const reader = found.data.getReader();
    try {
      for (;;) {
        const { done, value } = await within(reader.read(), SILENCE_MS, `of ${name} nothing came`);
        if (done) break;
        await take(value);
      }
    } finally {
      reader.cancel().catch(() => {});
    }
    return { digest: found.info.digest, bytes: found.info.size };
  }

  // The client would leave a note of it for ever. Whoever looks meanwhile finds pieces without an
  // object, never an object without pieces.
  async remove(name: string): Promise<void> {
    await this.#purge('M', codeOfName(name));
    await this.#purge('C', `${codeOfName(name)}.*`);
  }
}

async function isThere({ manager }: Nats, name: string): Promise<boolean> {
  try {
    await answered(manager.streams.info(`OBJ_${name}`));
    return true;
  } catch (error) {
    if (codeOf(error as Error) === STREAM_NOT_FOUND) return false;
    throw error;
  }
}

// As NATS lays buckets out: names are base64 in subjects, with what pads it.
function codeOfName(name: string): string {
  return padded(Buffer.from(name));
}

function padded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

function nameOf(coded: string): string {
  return Buffer.from(coded, 'base64url').toString();
}

/** The same bytes in chunks, each as large as one may be, but for the last. */
async function* chunked(
  pieces: AsyncIterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(chunkBytes);
  let filled = 0;
  for await (const piece of pieces)
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + chunkBytes - filled);
      chunk.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < chunkBytes) continue;
      yield chunk;
      chunk = new Uint8Array(chunkBytes);
      filled = 0;
    }
  if (filled > 0) yield chunk.subarray(0, filled);
}

function answered<T>(asked: Promise<T>): Promise<T> {
  return within(asked, ANSWER_MS, 'NATS does not answer');
}

/** Rejects with `why` if it has not settled in that time, in ms. */
async function within<T>(asked: Promise<T>, ms: number, why: string): Promise<T> {
  let late: Timer | undefined;
  const over = new Promise<never>((_, reject) => {
    late = deadline(ms, () => reject(new Error(`${why} within ${ms} ms`)));
  });
  try {
    return await Promise.race([asked, over]);
  } finally {
    cancel(late);
  }
}

/**
 * The objects of the log's bases, also where there is no stream; as JetStreamLink.objects gives
 * them. Waits, and warns, while they cannot be had.
 * @throws StreamRefused where an operator is needed.
 */
export async function connectObjects(
  options: StreamOptions,
  make: boolean,
): Promise<{ objects: ObjectBucket | undefined; close(): Promise<void> }> {
  const nats = await untilThere(options, () => dial(options));
  try {
    const objects = await untilThere(options, () => ObjectBucket.open(nats, options, make));
    return { objects, close: () => nats.connection.close() };
  } catch (error) {
    await nats.connection.close();
    throw error;
  }
}
