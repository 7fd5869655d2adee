// The verb `sub`: prints the messages of a bucket and acks each after it has been written, or runs a
// command for each. What was not written out is not acked, so a broken pipe loses nothing.

import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { type Consumer, createConsumer, type Message } from '../client/index.ts';
import { complain, EXIT, emit, note, OutputError } from './output.ts';
import { exitCodeOf } from './pub.ts';
import { Ending, idleTimeoutMs } from './sub-ending.ts';
import { type ExecOptions, Execution } from './sub-exec.ts';
import { exitCodes, onFail } from './sub-verdicts.ts';
import { addTargetOptions, bucketId, durationMs, resolveClient, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq sub 42                          print and ack messages until Ctrl-C
  thrustmq sub 42 --count 10 --json        ten messages as JSON lines
  thrustmq sub 42 --wait 1s > backlog.txt  what is there, then stop
  thrustmq sub 42 --no-ack                 print the next batch and leave it in the bucket
  thrustmq sub 42 -H node-1,node-2:2889    of a cluster: nodes are tried in turn
  thrustmq sub 42 --exec ./handle          run a command for each message, which it reads
  thrustmq sub 42 --exec 'python3 resize.py --size 200' --concurrency 8 --exec-timeout 1m \\
    --on-fail retry:10s --exit 3=reject

With --exec the shell runs the command; its standard input is the message, THRUSTMQ_BUCKET its
bucket. How it ends says what becomes of the message:
  0            done
  65           reject: it is dead now (EX_DATAERR)
  75, 130, 143 release:1s, no attempt is counted (EX_TEMPFAIL; somebody ended it)
  126, 127     the command cannot be run: the message stays, and sub ends with 1
  others       as --on-fail says; a signal is 128 and its number, too long is 124
Words: done, fail (again after the delay of the bucket's rule), reject, release (at once, no attempt
is counted), release:TIME, retry:TIME. Times are rounded up to a power of two of milliseconds.
The first SIGINT or SIGTERM starts no more commands and waits for those that run, the second kills
them. A connection that is lost ends them: their messages come again. --working is for buckets with
a lease; a broker that is older than leases would take what it sends for an ack.

Exit codes: 0 fine, also when whoever reads the messages leaves, 1 fewer messages than --count, or
the command cannot be run, 2 wrong usage, 69 the broker cannot be reached, or could not when --wait
or --timeout was over, 74 messages could not be written (those are not acked).`;

const BATCH = 100;
const MOST_UNACKED = `most messages delivered and not acked (default: ${BATCH}, or --concurrency)`;

interface SubOptions extends ExecOptions {
  ack: boolean;
  batch?: number;
  wait?: number;
  timeout?: number;
  json?: boolean;
  hex?: boolean;
  raw?: boolean;
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
    .option('-b, --batch <N>', MOST_UNACKED, wholeNumber)
    .option('-w, --wait <TIME>', 'stop when nothing has come for this long', durationMs)
    .option('-t, --timeout <TIME>', 'stop after this long', durationMs)
    .option('--json', 'a JSON object for each message')
    .option('--hex', 'bodies in hexadecimal, one a line')
    .option('--raw', 'bodies as they are, with nothing between them')
    .option('-q, --quiet', 'no notes')
    .option('--exec <COMMAND>', 'run a command for each message, which decides about it')
    .option('--concurrency <N>', 'commands at the same time (default: 1)', wholeNumber)
    .option('--on-fail <WORD>', 'what becomes of a message then (default: fail)', onFail)
    .option('--exit <CODE=WORD,…>', 'the same for these exit codes', exitCodes)
    .option('--exec-timeout <TIME>', 'end a command that takes longer', durationMs)
    .option('--working <TIME>', 'renew the lease this often, see below', durationMs)
    .addHelpText('after', EXAMPLES)
    .action((bucket: bigint, options: SubOptions) => subscribe(command, bucket, options));
}

/** Throws 2 when options do not go together. */
function checkUsage(command: Command, options: SubOptions): void {
  const refuse = (text: string) => command.error(`error: ${text}`, { exitCode: EXIT.usage });
  const { json, hex, raw, ack, exec } = options;
  if ([json, hex, raw].filter(Boolean).length > 1)
    refuse('only one of --json, --hex and --raw can be had');
  if (exec !== undefined && (json || hex || raw || !ack))
    refuse('--exec prints nothing and acks by itself: no --json, --hex, --raw, --no-ack with it');
  const { concurrency, onFail: word, exit, execTimeout, working } = options;
  if (exec === undefined && (concurrency ?? word ?? exit ?? execTimeout ?? working) !== undefined)
    refuse('--concurrency, --on-fail, --exit, --exec-timeout and --working need --exec');
}

async function subscribe(command: Command, bucket: bigint, options: SubOptions): Promise<void> {
  checkUsage(command, options);
  const { exec, count, batch = exec === undefined ? BATCH : (options.concurrency ?? 1) } = options;
  const ending = new Ending(options);
  const consumer = createConsumer({
    ...resolveClient(options, 'exhaust'),
    bucket,
    batchSize: Math.min(batch, count ?? batch),
    idleTimeoutMs: idleTimeoutMs(options),
    onStatus: (status, error) => {
      ending.onStatus(status, error);
      if (status === 'reconnecting' && !options.quiet)
        note(`${error?.message ?? status}; trying again`);
    },
  });
  const execution = exec === undefined ? undefined : new Execution(exec, options, ending);
  ending.watch(() => (execution === undefined ? void consumer.close() : execution.stop()));
  let failure: unknown;
  const progress = { received: 0 };
  try {
    if (execution === undefined) await print(consumer, options, ending, progress);
    else await execution.run(consumer);
    failure = ending.failure;
  } catch (error) {
    failure = error;
  }
  ending.over();
  await consumer.close();
  const received = execution?.decided ?? progress.received;
  const text = `received ${received} from bucket ${bucket}${execution?.text ?? ''}`;
  const isGone = failure instanceof OutputError && failure.isGone;
  if (failure !== undefined && !isGone) {
    process.exitCode = exitCodeOf(failure);
    complain(`${(failure as Error).message}; ${text}`);
    return;
  }
  if (!options.quiet) note(text);
  const wanted = ending.reason === 'asked' || isGone ? 0 : (count ?? 0);
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
