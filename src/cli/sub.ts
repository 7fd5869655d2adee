// The verb `sub`: prints the messages of a bucket and acks each after it has been written. What was
// not written out is not acked, so a broken pipe loses nothing.

import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { type Consumer, createConsumer, type Message } from '../client/index.ts';
import { complain, EXIT, emit, isBrokenPipe, note } from './output.ts';
import { exitCodeOf } from './pub.ts';
import { addTargetOptions, bucketId, durationMs, resolveTarget, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq sub 42                          print and ack messages until Ctrl-C
  thrustmq sub 42 --count 10 --json        ten messages as JSON lines
  thrustmq sub 42 --wait 1s > backlog.txt  what is there, then stop
  thrustmq sub 42 --no-ack                 print the next batch and leave it in the bucket

Exit codes: 0 fine, 1 fewer messages than --count, 2 wrong usage, 69 the broker cannot be reached.`;

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
  const consumer = createConsumer({
    ...resolveTarget(options, 'exhaust'),
    bucket,
    batchSize,
    onStatus: (status, error) => {
      if (status === 'reconnecting' && !options.quiet)
        note(`${error?.message ?? status}; trying again`);
    },
  });
  const stop = stopOnSignal(consumer);
  const overall = options.timeout === undefined ? undefined : setTimeout(stop, options.timeout);
  let received = 0;
  let failure: unknown;
  try {
    received = await print(consumer, options);
  } catch (error) {
    if (!isBrokenPipe(error)) failure = error;
  }
  clearTimeout(overall);
  await consumer.close();
  if (failure !== undefined) complain((failure as Error).message);
  else if (!options.quiet) note(`received ${received} from bucket ${bucket}`);
  process.exitCode = failure === undefined ? EXIT.ok : exitCodeOf(failure);
  const short = options.count !== undefined && received < options.count && !stop.bySignal();
  if (failure === undefined && short) process.exitCode = EXIT.failed;
}

interface Stop {
  (): void;
  bySignal(): boolean;
}

/** The first signal ends the conversation politely, the second the process. */
function stopOnSignal(consumer: Consumer): Stop {
  let signalled = false;
  const stop = (): void => void consumer.close();
  const onSignal = (): void => {
    if (signalled) process.exit(EXIT.failed);
    signalled = true;
    stop();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return Object.assign(stop, { bySignal: () => signalled });
}

/** Prints until told to stop; gives the number of messages printed. Throws what ended it. */
async function print(consumer: Consumer, options: SubOptions): Promise<number> {
  let received = 0;
  const { wait } = options;
  const rest = (): NodeJS.Timeout | undefined =>
    wait === undefined ? undefined : setTimeout(() => void consumer.close(), wait);
  let timer = rest();
  try {
    for await (const batch of consumer.batches()) {
      clearTimeout(timer);
      const wanted = batch.slice(0, (options.count ?? Number.POSITIVE_INFINITY) - received);
      await emit(Buffer.concat(wanted.map((message) => encode(message, options))));
      received += wanted.length;
      if (options.ack) for (const message of wanted) message.ack();
      // Without acks the broker sends no second batch; leaving gives this one back.
      if (!options.ack || received === options.count) break;
      timer = rest();
    }
  } finally {
    clearTimeout(timer);
  }
  return received;
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
