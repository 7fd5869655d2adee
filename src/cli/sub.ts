// The verb `sub`: prints the messages of a bucket and acks each after it has been written. What was
// not written out is not acked, so a broken pipe loses nothing.

import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { type Consumer, createConsumer, type Message } from '../client/index.ts';
import { complain, EXIT, emit, note, OutputError } from './output.ts';
import { exitCodeOf } from './pub.ts';
import { Ending, idleTimeoutMs } from './sub-ending.ts';
import { addTargetOptions, bucketId, durationMs, resolveClient, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq sub 42                          print and ack messages until Ctrl-C
  thrustmq sub 42 --count 10 --json        ten messages as JSON lines
  thrustmq sub 42 --wait 1s > backlog.txt  what is there, then stop
  thrustmq sub 42 --no-ack                 print the next batch and leave it in the bucket

Exit codes: 0 fine, also when whoever reads the messages leaves, 1 fewer messages than --count,
2 wrong usage, 69 the broker cannot be reached, or could not when --wait or --timeout was over,
74 messages could not be written (those are not acked).`;

interface SubOptions {
  count?: number;
  ack: boolean;
  batch: number;
  wait?: number;
  timeout?: number;
  json?: boolean;
  hex?: boolean;
  raw?: boolean;
  quiet?: boolean;
  host?: string;
  port?: number;
  wire?: string;
  dataDir?: string;
}

/** Adds `sub`. */
export function registerSub(program: Command): void {
  const command = program
    .command('sub')
    .description('receive the messages of a bucket, one a line')
    .argument('<bucket>', 'number of the bucket', bucketId);
  addTargetOptions(command, 'exhaust')
    .option('-n, --count <N>', 'stop after this many messages', wholeNumber)
    .option('--no-ack', 'leave the messages in the bucket; prints one batch')
    .option('-b, --batch <N>', 'most messages delivered and not acked', wholeNumber, 100)
    .option('-w, --wait <TIME>', 'stop when nothing has come for this long', durationMs)
    .option('-t, --timeout <TIME>', 'stop after this long', durationMs)
    .option('--json', 'a JSON object for each message')
    .option('--hex', 'bodies in hexadecimal, one a line')
    .option('--raw', 'bodies as they are, with nothing between them')
    .option('-q, --quiet', 'no notes')
    .addHelpText('after', EXAMPLES)
    .action((bucket: bigint, options: SubOptions) => subscribe(command, bucket, options));
}

async function subscribe(command: Command, bucket: bigint, options: SubOptions): Promise<void> {
  if ([options.json, options.hex, options.raw].filter(Boolean).length > 1)
    command.error('error: only one of --json, --hex and --raw can be had', {
      exitCode: EXIT.usage,
    });
  const batchSize = Math.min(options.batch, options.count ?? options.batch);
  const ending = new Ending(options);
  const consumer = createConsumer({
    ...resolveClient(options, 'exhaust'),
    bucket,
    batchSize,
    idleTimeoutMs: idleTimeoutMs(options),
    onStatus: (status, error) => {
      ending.onStatus(status, error);
      if (status === 'reconnecting' && !options.quiet)
        note(`${error?.message ?? status}; trying again`);
    },
  });
  ending.watch(consumer);
  let failure: unknown;
  const progress = { received: 0 };
  try {
    await print(consumer, options, ending, progress);
    failure = ending.failure;
  } catch (error) {
    failure = error;
  }
  ending.over();
  await consumer.close();
  const { received } = progress;
  const isGone = failure instanceof OutputError && failure.isGone;
  if (failure !== undefined && !isGone) {
    process.exitCode = exitCodeOf(failure);
    complain(`${(failure as Error).message}; received ${received} from bucket ${bucket}`);
    return;
  }
  if (!options.quiet) note(`received ${received} from bucket ${bucket}`);
  const wanted = ending.reason === 'asked' || isGone ? 0 : (options.count ?? 0);
  process.exitCode = received < wanted ? EXIT.failed : EXIT.ok;
}

/** Prints until told to stop. Throws what ended it. */
async function print(
  consumer: Consumer,
  options: SubOptions,
  ending: Ending,
  progress: { received: number },
): Promise<void> {
  ending.quietFromNow();
  for await (const batch of consumer.batches()) {
    ending.busy();
    const left = (options.count ?? Number.POSITIVE_INFINITY) - progress.received;
    const wanted = batch.slice(0, left);
    await emit(Buffer.concat(wanted.map((message) => encode(message, options))));
    progress.received += wanted.length;
    if (options.ack) for (const message of wanted) message.ack();
    // Without acks the broker sends no second batch; leaving gives this one back.
    if (!options.ack || progress.received === options.count) break;
    ending.quietFromNow();
  }
}

function encode(message: Message, options: SubOptions): Uint8Array {
  const { body } = message;
  if (options.raw) return body;
  if (options.hex) return Buffer.from(`${Buffer.from(body).toString('hex')}\n`);
  if (!options.json) return Buffer.concat([body, Buffer.from('\n')]);
  const bucket = String(message.bucket);
  const text = isUtf8(body)
    ? { encoding: 'utf8', body: Buffer.from(body).toString('utf8') }
    : { encoding: 'base64', body: Buffer.from(body).toString('base64') };
  return Buffer.from(`${JSON.stringify({ bucket, bytes: body.length, ...text })}\n`);
}
