// The verb `pub`: arguments, files or lines of standard input become messages of a bucket. Says at
// the end how many of them are stored; what it cannot vouch for it counts as unknown.

import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { ThrustError } from '../client/index.ts';
import { formatDuration } from '../core/text/units.ts';
import { readBodies } from './bodies.ts';
import { LineSplitter } from './lines.ts';
import { complain, EXIT, emitDone, note, OutputError } from './output.ts';
import { Sender, type Tally } from './pub-sender.ts';
import { addTargetOptions, bucketId, durationMs, resolveClient, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq pub 42 "hello" "world"          two messages
  thrustmq pub 42 --file photo.jpg         a file as one message
  seq 1000000 | thrustmq pub 42            each line of standard input is a message
  thrustmq pub 42 --file - < photo.jpg     standard input as one message
  thrustmq pub 42 -H node-1,node-2 "hi"    to a cluster: nodes are tried in turn

A broker that goes away while no message is under way is waited for: the next line goes to the one
that comes back. If it leaves messages without an answer, this ends: they may be stored or not.

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
    .option(
      '-t, --timeout <TIME>',
      'longest wait for an ack, or for a broker that went away',
      durationMs,
      30_000,
    )
    .option('--json', 'print the result as JSON')
    .option('-q, --quiet', 'no summary')
    .addHelpText('after', EXAMPLES)
    .action(publish);
}

async function publish(bucket: bigint, bodies: string[], options: PubOptions): Promise<void> {
  const startedMs = performance.now();
  const named = await readBodies(bodies, options.file ?? []);
  const sender = new Sender({
    target: resolveClient(options, 'intake'),
    bucket,
    batch: options.batch,
    timeoutMs: options.timeout,
    ...(options.quiet ? {} : { onTrouble: note }),
  });
  const lines = new Lines(sender);
  let failure: unknown;
  try {
    await sender.ready();
    if (named.length > 0) await sender.send(named);
    else await sendStandardInput(lines, options);
    await sender.settled();
  } catch (error) {
    failure = error;
    await sender.settled().catch(() => {});
  }
  await sender.close(2000);
  const { tally } = sender;
  const ms = performance.now() - startedMs;
  await report({ bucket, tally, skipped: lines.skipped, ms, failure }, options);
}

function sendStandardInput(lines: Lines, options: PubOptions): Promise<void> {
  if (process.stdin.isTTY && !options.quiet) note('each line is a message; Ctrl-D ends');
  return lines.send(process.stdin);
}

/** The lines of a stream as messages. */
class Lines {
  readonly #sender: Sender;
  readonly #splitter = new LineSplitter(MESSAGE_BYTES_CEILING);
  /** Empty lines, which are no messages. */
  skipped = 0;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Whatever has arrived goes out at once; a fast writer fills whole batches by itself. */
  async send(input: Readable): Promise<void> {
    // What a writer says after the end of the sender would be taken from it for nothing.
    void this.#sender.failed.then(() => this.#stop(input));
    try {
      for await (const chunk of input) await this.#sendNonEmpty(this.#splitter.push(chunk));
    } catch (error) {
      await this.#sender.settled(); // throws if that was what ended the input
      throw error;
    }
    const last = this.#splitter.end();
    if (last !== undefined) await this.#sendNonEmpty([last]);
  }

  #sendNonEmpty(lines: Uint8Array[]): Promise<void> {
    const bodies = lines.filter((line) => line.length > 0);
    this.skipped += lines.length - bodies.length;
    return this.#sender.send(bodies);
  }

  /** Takes no more, and counts what was taken already. */
  #stop(input: Readable): void {
    const { tally } = this.#sender;
    try {
      for (let chunk = input.read(); chunk !== null; chunk = input.read())
        tally.unsent += this.#splitter.push(chunk).filter((line) => line.length > 0).length;
    } catch {
      // A line that is too long: it counts as one, below.
    }
    if (this.#splitter.end() !== undefined) tally.unsent += 1;
    input.destroy();
  }
}

interface Outcome {
  bucket: bigint;
  tally: Tally;
  skipped: number;
  ms: number;
  failure: unknown;
}

async function report(outcome: Outcome, options: PubOptions): Promise<void> {
  const { bucket, tally, skipped, ms, failure } = outcome;
  const { published, refused, unknown, unsent, bytes } = tally;
  process.exitCode = refused > 0 ? EXIT.failed : EXIT.ok;
  if (failure !== undefined) process.exitCode = exitCodeOf(failure);
  if (options.json) {
    const counts = { published, refused, unknown, ...(unsent > 0 ? { unsent } : {}), bytes };
    const result = { bucket: String(bucket), ...counts, ms: Math.round(ms) };
    await emitDone(`${JSON.stringify(result)}\n`);
  }
  const taken = published + refused + unknown + unsent;
  if (!options.quiet && (failure === undefined || taken > 0)) {
    const parts = [`published ${published} to bucket ${bucket} in ${formatDuration(ms)}`];
    if (refused > 0)
      parts.push(`${refused} refused: too large, beyond a rule, or the broker's disk is full`);
    if (unknown > 0) parts.push(`${unknown} unknown: stored or not`);
    if (unsent > 0) parts.push(`${unsent} not sent`);
    if (skipped > 0) parts.push(`${skipped} empty lines skipped`);
    note(parts.join('; '));
  }
  if (failure !== undefined) complain((failure as Error).message);
}

/** How a failed conversation with a broker ends the program. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof RangeError) return EXIT.usage;
  if (error instanceof OutputError) return EXIT.disk;
  if (!(error instanceof ThrustError)) return EXIT.failed;
  if (error.code === 'USAGE') return EXIT.usage;
  const gone = ['CONNECTION', 'UNKNOWN_OUTCOME', 'TIMEOUT', 'CLOSED'].includes(error.code);
  return gone ? EXIT.unreachable : EXIT.failed;
}
