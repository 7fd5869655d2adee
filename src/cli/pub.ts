// The verb `pub`: arguments, files or lines of standard input become messages of a bucket. Says at
// the end how many of them are stored; what it cannot vouch for it counts as unknown.

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { createProducer, type Outgoing, type Producer, ThrustError } from '../client/index.ts';
import { formatDuration } from '../config/units.ts';
import { LineSplitter } from './lines.ts';
import { CliError, complain, EXIT, emit, note } from './output.ts';
import { addTargetOptions, bucketId, durationMs, resolveTarget, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq pub 42 "hello" "world"          two messages
  thrustmq pub 42 --file photo.jpg         a file as one message
  seq 1000000 | thrustmq pub 42            each line of standard input is a message
  thrustmq pub 42 --file - < photo.jpg     standard input as one message

Exit codes: 0 all stored, 1 some refused, 2 wrong usage, 69 no broker there, or it went away.`;

interface PubOptions {
  file?: string[];
  batch: number;
  timeout: number;
  json?: boolean;
  quiet?: boolean;
  host?: string;
  port?: number;
  wire?: string;
  dataDir?: string;
}

interface Tally {
  published: number;
  refused: number;
  unknown: number;
  skipped: number;
  bytes: number;
}

/** Calls under way at most; the producer bounds what is on the wire beyond that. */
const WINDOW = 16;

/** Adds `pub`. */
export function registerPub(program: Command): void {
  const command = program
    .command('pub')
    .description('publish messages to a bucket')
    .argument('<bucket>', 'number of the bucket', bucketId)
    .argument('[body...]', 'messages; without any, each line of standard input is one');
  addTargetOptions(command, 'intake')
    .option('-f, --file <FILE...>', 'send each file as one message; - is standard input')
    .option('-b, --batch <N>', 'most lines in one batch', wholeNumber, 1000)
    .option('-t, --timeout <TIME>', 'longest wait for an ack', durationMs, 30_000)
    .option('--json', 'print the result as JSON')
    .option('-q, --quiet', 'no summary')
    .addHelpText('after', EXAMPLES)
    .action(publish);
}

async function publish(bucket: bigint, bodies: string[], options: PubOptions): Promise<void> {
  const startedMs = performance.now();
  const named = [...bodies.map((body) => Buffer.from(body)), ...(options.file ?? []).map(readBody)];
  if (named.some((body) => body.length === 0))
    throw new CliError(EXIT.usage, 'an empty message cannot be published');
  const tally: Tally = { published: 0, refused: 0, unknown: 0, skipped: 0, bytes: 0 };
  const producer = createProducer({
    ...resolveTarget(options, 'intake'),
    reconnect: false,
    connectTimeoutMs: Math.max(1, Math.min(5000, options.timeout)),
    ackTimeoutMs: options.timeout,
  });
  let failure: unknown;
  try {
    await producer.ready();
    const sender = new Sender(producer, bucket, tally, options.batch);
    if (named.length > 0) await sender.sendAll(named);
    else await sendStandardInput(sender, options);
    await sender.settled();
  } catch (error) {
    failure = error;
  }
  await producer.close({ timeoutMs: 2000 });
  await report({ bucket, tally, ms: performance.now() - startedMs, failure }, options);
}

function sendStandardInput(sender: Sender, options: PubOptions): Promise<void> {
  if (process.stdin.isTTY && !options.quiet) note('each line is a message; Ctrl-D ends');
  return sender.sendLines(process.stdin);
}

function readBody(file: string): Uint8Array {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new CliError(EXIT.usage, `cannot read ${file}: ${(error as Error).message}`);
  }
}

/** Keeps a bounded number of batches under way and counts what becomes of their messages. */
class Sender {
  readonly #producer: Producer;
  readonly #bucket: bigint;
  readonly #tally: Tally;
  readonly #batch: number;
  readonly #open = new Set<Promise<void>>();
  #failure: unknown;

  constructor(producer: Producer, bucket: bigint, tally: Tally, batch: number) {
    this.#producer = producer;
    this.#bucket = bucket;
    this.#tally = tally;
    this.#batch = batch;
  }

  async sendAll(bodies: readonly Uint8Array[]): Promise<void> {
    for (let from = 0; from < bodies.length; from += this.#batch) {
      if (this.#failure !== undefined) throw this.#failure;
      while (this.#open.size >= WINDOW) await Promise.race(this.#open);
      const sending = this.#send(bodies.slice(from, from + this.#batch));
      this.#open.add(sending);
      void sending.finally(() => this.#open.delete(sending));
    }
  }

  /** Whatever has arrived goes out at once; a fast writer fills whole batches by itself. */
  async sendLines(input: AsyncIterable<Uint8Array>): Promise<void> {
    const splitter = new LineSplitter(MESSAGE_BYTES_CEILING);
    for await (const chunk of input) await this.#sendNonEmpty(splitter.push(chunk));
    const last = splitter.end();
    if (last !== undefined) await this.#sendNonEmpty([last]);
  }

  /** Settles when every batch is; throws what went wrong with any. */
  async settled(): Promise<void> {
    await Promise.all(this.#open);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #sendNonEmpty(lines: Uint8Array[]): Promise<void> {
    const bodies = lines.filter((line) => line.length > 0);
    this.#tally.skipped += lines.length - bodies.length;
    return this.sendAll(bodies);
  }

  async #send(bodies: readonly Uint8Array[]): Promise<void> {
    const messages: Outgoing[] = bodies.map((body) => ({ bucket: this.#bucket, body }));
    let results: readonly (boolean | undefined)[];
    try {
      results = await this.#producer.sendBatch(messages);
    } catch (error) {
      this.#failure ??= error;
      results =
        (error instanceof ThrustError ? error.results : undefined) ?? bodies.map(() => undefined);
    }
    results.forEach((stored, index) => {
      if (stored === undefined) this.#tally.unknown += 1;
      else if (!stored) this.#tally.refused += 1;
      else {
        this.#tally.published += 1;
        this.#tally.bytes += bodies[index].length;
      }
    });
  }
}

interface Outcome {
  bucket: bigint;
  tally: Tally;
  ms: number;
  failure: unknown;
}

async function report({ bucket, tally, ms, failure }: Outcome, options: PubOptions): Promise<void> {
  const { published, refused, unknown, skipped, bytes } = tally;
  if (options.json) {
    const result = {
      bucket: String(bucket),
      published,
      refused,
      unknown,
      bytes,
      ms: Math.round(ms),
    };
    await emit(`${JSON.stringify(result)}\n`);
  }
  if (!options.quiet && (failure === undefined || published + refused + unknown > 0)) {
    const parts = [`published ${published} to bucket ${bucket} in ${formatDuration(ms)}`];
    if (refused > 0) parts.push(`${refused} refused: too large, or the broker's disk is full`);
    if (unknown > 0) parts.push(`${unknown} unknown: stored or not`);
    if (skipped > 0) parts.push(`${skipped} empty lines skipped`);
    note(parts.join('; '));
  }
  process.exitCode = refused > 0 ? EXIT.failed : EXIT.ok;
  if (failure === undefined) return;
  complain((failure as Error).message);
  process.exitCode = exitCodeOf(failure);
}

/** How a failed conversation with a broker ends the program. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof RangeError) return EXIT.usage;
  if (!(error instanceof ThrustError)) return EXIT.failed;
  if (error.code === 'USAGE') return EXIT.usage;
  const gone = ['CONNECTION', 'UNKNOWN_OUTCOME', 'TIMEOUT', 'CLOSED'].includes(error.code);
  return gone ? EXIT.unreachable : EXIT.failed;
}
