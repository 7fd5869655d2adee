// Objects of a log's bases in a bucket of NATS, with as many copies as the stream has. The client
// checks digests; what it leaves to wait for ever, as chunks that are gone, is given up here.

import type { ObjectStore, StoredObject } from '../../log/base/objects.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel, sleep, type Timer } from '../../time/timers.ts';
import { type Bucket, codeOf, type Nats } from './nats.ts';
import { type StreamChoice, streamName } from './stream-settings.ts';

const STREAM_NOT_FOUND = 10_059;
const WRONG_LAST_SEQUENCE = 10_071;
// Appends go over the same connection, and wait for no more than this.
const CHUNK_BYTES = 256 * 1024;
const ANSWER_MS = 5000;
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

  async held(): Promise<{ names: string[]; bytes: number }> {
    const filter = { subjects_filter: `$O.${this.#name}.M.>` };
    const info = await answered(this.#nats.manager.streams.info(`OBJ_${this.#name}`, filter));
    const subjects = Object.keys(info.state.subjects ?? {});
    return { names: subjects.map(nameIn), bytes: info.state.bytes };
  }

  async put(name: string, pieces: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    const meta = { name, options: { max_chunk_size: CHUNK_BYTES } };
    const { digest, size } = await this.#bucket.put(meta, streamOf(pieces));
    return { digest, bytes: size };
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

  // The client leaves a note of each object that was removed, for ever.
  async remove(name: string): Promise<void> {
    await answered(this.#bucket.delete(name));
    const filter = subjectOf(this.#name, name);
    await answered(this.#nats.manager.streams.purge(`OBJ_${this.#name}`, { filter }));
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

// As NATS lays buckets out: names are base64 in subjects.
function subjectOf(bucket: string, name: string): string {
  const coded = Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  return `$O.${bucket}.M.${coded}`;
}

function nameIn(subject: string): string {
  return Buffer.from(subject.slice(subject.lastIndexOf('.') + 1), 'base64url').toString();
}

function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
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
