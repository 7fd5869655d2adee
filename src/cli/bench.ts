// The verb `bench`: flags to a plan of the load generator, its progress to standard error, its
// result to standard output. Measures nothing itself.

import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatDuration, formatSize, parseSize } from '../core/text/units.ts';
import { type PrivateBroker, startBroker } from '../load/child.ts';
import { LoadError } from '../load/connect.ts';
import type { Verdict } from '../load/ledger.ts';
import type { Latency } from '../load/meter.ts';
import { checkPlan, DEFAULT_PLAN, type LoadPlan } from '../load/plan.ts';
import { type LoadResult, REFERENCE_RATE } from '../load/result.ts';
import { type LoadProgress, runLoad } from '../load/run.ts';
import { type BenchTarget, type BenchTargetOptions, benchTarget } from './bench-target.ts';
import { CliError, colorsFor, complain, EXIT, emit, note } from './output.ts';
import { bucketId, durationMs, joined, wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq bench --spawn                     a private broker, one producer, one consumer
  thrustmq bench --consumers 0 --in-flight 16       how fast messages become durable
  thrustmq bench --producers 64 --batch 1 --in-flight 1 --consumers 0   synchronous clients
  thrustmq bench --rate 50000 --batch 10     open loop: latency at a given load
  thrustmq bench --verify --count 1000000    look for losses, duplicates and disorder

The load takes processor time as well: with few cores, the broker would be faster without it.
An open loop (--rate) sends by a schedule and times from when a batch was due, so a broker that
stalls is charged for all that waited ("sent late by" is the part of it that passed before
sending); it keeps one core busy with looking at the clock.

Exit codes: 0 fine, 1 failed, or --verify found something, 2 wrong usage, 69 the broker cannot be
reached or went away.`;

/** In an open loop the schedule bounds what is in flight, so this must not. */
const RATE_IN_FLIGHT = 256;

const TMPFS_MAGIC = 0x0102_1994;
const LINE_MS = 1000;
const TERMINAL_MS = 200;

interface BenchOptions extends BenchTargetOptions {
  producers: number;
  consumers?: number;
  buckets: number;
  firstBucket: bigint;
  size: number;
  batch: number;
  consumerBatch?: number;
  inFlight?: number;
  duration: number;
  count?: number;
  rate?: number;
  backlog?: number;
  warmup?: number;
  verify?: boolean;
  drain: boolean;
  json?: boolean;
  quiet?: boolean;
  spawn?: boolean;
  dir: string;
}

/** Adds `bench`. */
export function registerBench(program: Command): void {
  const usual = DEFAULT_PLAN;
  const command = program
    .command('bench')
    .description('measure a broker')
    .option(
      '-s, --server <HOST,...>',
      'host of the broker, or of several nodes, which connections go to in turn (default: 127.0.0.1)',
      joined,
    )
    .option('--intake-port <PORT>', 'port of its intake (default: 1888)', wholeNumber)
    .option('--exhaust-port <PORT>', 'port of its exhaust (default: 2888)', wholeNumber)
    .option('-d, --data-dir <DIR>', "find host and ports in a running broker's data folder")
    .option('--wire <u64|u32>', 'dialect of those ports (default: u64)', wireName)
    .option('--spawn', 'start a private broker for the run and remove it afterwards')
    .option('--dir <DIR>', 'where the private broker keeps its data', tmpdir());
  command
    .optionsGroup('Load:')
    .option('--producers <N>', 'connections that publish; 0 = none', number, usual.producers)
    .option('--consumers <N>', 'connections that consume; 0 = none (default: --buckets)', number)
    .option('--buckets <N>', 'buckets that the messages of a batch go to in turn', wholeNumber, 1)
    .addOption(
      new Option('--first-bucket <N>', 'the first of these buckets')
        .argParser(bucketId)
        .default(usual.firstBucket, String(usual.firstBucket)), // help cannot print a bigint
    )
    .option('--size <SIZE>', 'size of a message', sizeBytes, usual.messageBytes)
    .option('-b, --batch <N>', 'messages in a published batch', wholeNumber, usual.batchMessages)
    .option('--consumer-batch <N>', 'most messages in a delivery (default: 1000)', wholeNumber)
    .option(
      '--in-flight <N>',
      'unanswered batches of a producer (default: 4; --rate: 256)',
      wholeNumber,
    )
    .option('--duration <TIME>', 'length of the measured window', durationMs, usual.durationMs)
    .option('-n, --count <N>', 'messages instead of a duration', wholeNumber)
    .option(
      '--rate <N>',
      'messages per second: open loop (also 50000/s); with --producers 0, taken at most',
      perSecond,
    )
    .option('--backlog <N>', 'hold producers back above this backlog', wholeNumber)
    .option('--warmup <TIME>', 'load before the window (default: 1s; 0 with --count)', durationMs)
    .option('--verify', 'stamp messages; find losses, duplicates, disorder, changed bytes')
    .option('--no-drain', 'leave what is not consumed when the window ends');
  command
    .optionsGroup('Output:')
    .option('--json', 'print the result as JSON')
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', EXAMPLES)
    .action((options: BenchOptions) => bench(command, options));
}

async function bench(command: Command, options: BenchOptions): Promise<void> {
  const fault = checkPlan(planOf(options, DEFAULT_PLAN));
  if (fault !== undefined) command.error(`error: ${fault}`, { exitCode: EXIT.usage });
  if (options.spawn && (options.server ?? options.dataDir) !== undefined)
    command.error('error: --spawn makes its own broker; --server and --data-dir name another', {
      exitCode: EXIT.usage,
    });
  const interrupt = new AbortController();
  const release = stopOnSignal(interrupt);
  const broker = options.spawn ? await spawnBroker(options) : undefined;
  const progress = new Progress(options.quiet === true);
  try {
    const plan = planOf(options, benchTarget(options, broker));
    const result = await runLoad(plan, {
      signal: interrupt.signal,
      progressMs: progress.everyMs,
      onProgress: (report) => progress.show(report),
    });
    progress.clear();
    process.exitCode = exitCodeOf(result);
    await emit(options.json ? toJson(plan, result) : toTable(plan, result));
    if (!options.quiet && result.leftMessages > 0 && !options.spawn)
      note(`${whole(result.leftMessages)} messages stay in the broker, ${bucketsOf(plan)}`);
    complainAbout(result);
  } catch (error) {
    progress.clear();
    if (!(error instanceof LoadError)) throw error;
    const gone = error.code === 'unreachable' || error.code === 'lost';
    throw new CliError(gone ? EXIT.unreachable : EXIT.failed, error.message);
  } finally {
    release();
    await broker?.stop();
  }
}

function planOf(options: BenchOptions, target: BenchTarget): LoadPlan {
  const { buckets, count } = options;
  const { host, hosts, intakePort, exhaustPort, wire } = target;
  return {
    ...{ host, intakePort, exhaustPort, wire },
    ...(hosts === undefined ? {} : { hosts }),
    producers: options.producers,
    consumers: options.consumers ?? buckets,
    buckets,
    firstBucket: options.firstBucket,
    messageBytes: options.size,
    batchMessages: options.batch,
    inFlight:
      options.inFlight ?? (options.rate === undefined ? DEFAULT_PLAN.inFlight : RATE_IN_FLIGHT),
    consumerBatchMessages: options.consumerBatch ?? DEFAULT_PLAN.consumerBatchMessages,
    answer: DEFAULT_PLAN.answer,
    durationMs: options.duration,
    count,
    rate: options.rate,
    warmupMs: options.warmup ?? (count === undefined ? DEFAULT_PLAN.warmupMs : 0),
    verify: options.verify === true,
    run: undefined,
    backlogMessagesMax: options.backlog,
    drain: options.drain,
  };
}

async function spawnBroker(options: BenchOptions): Promise<PrivateBroker> {
  const memory = await statfs(options.dir).then(
    ({ type }) => type === TMPFS_MAGIC,
    () => false,
  );
  if (memory) note(`${options.dir} is in memory: acks come faster than from any disk; see --dir`);
  try {
    const { dir, wire } = options;
    return await startBroker({ dir, ...(wire === undefined ? {} : { wire }) });
  } catch (error) {
    throw new CliError(EXIT.failed, (error as Error).message);
  }
}

/** The first signal ends the measured window, the second the process. */
function stopOnSignal(interrupt: AbortController): () => void {
  const onSignal = (): void => {
    if (interrupt.signal.aborted) process.exit(EXIT.failed);
    interrupt.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
}

/** One line on standard error: rewritten in place on a terminal, else a new one each second. */
class Progress {
  readonly #quiet: boolean;
  readonly #terminal = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  readonly everyMs = this.#terminal ? TERMINAL_MS : LINE_MS;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  show(report: LoadProgress): void {
    if (this.#quiet) return;
    const parts = [
      `${(report.elapsedMs / 1000).toFixed(1)} s`,
      report.phase,
      `published ${whole(report.publishedPerSecond)}/s`,
      `delivered ${whole(report.deliveredPerSecond)}/s`,
      `${whole(Math.max(0, report.published - report.delivered))} waiting`,
    ];
    const line = parts.join('  ');
    if (this.#terminal) process.stderr.write(`\r\x1b[K${line}`);
    else note(line);
  }

  clear(): void {
    if (this.#terminal && !this.#quiet) process.stderr.write('\r\x1b[K');
  }
}

function exitCodeOf({ verify, publish }: LoadResult): number {
  const failed = verify?.ok === false || (publish !== undefined && publish.refused > 0);
  return failed ? EXIT.failed : EXIT.ok;
}

function complainAbout({ verify, publish }: LoadResult): void {
  if (verify?.ok === false) complain('what was delivered is not what was published');
  else if (publish !== undefined && publish.refused > 0)
    complain(`${whole(publish.refused)} messages were refused: too large, or the disk is full`);
}

function toJson(plan: LoadPlan, result: LoadResult): string {
  const { publish, consume, ...rest } = result;
  const multiple = (flow: { msgPerSecond: number } | undefined): object =>
    flow === undefined ? {} : { multipleOf28k: flow.msgPerSecond / REFERENCE_RATE };
  const report = {
    plan: { ...plan, firstBucket: String(plan.firstBucket) },
    publish: publish && { ...publish, ...multiple(publish) },
    consume: consume && { ...consume, ...multiple(consume) },
    ...rest,
  };
  return `${JSON.stringify(report)}\n`;
}

function toTable(plan: LoadPlan, { publish, consume, verify, interrupted }: LoadResult): string {
  const head = [
    '',
    'messages',
    'msg/s',
    'MB/s',
    'x 28,000/s',
    'p50 ms',
    'p90',
    'p99',
    'p99.9',
    'max',
  ];
  const table = newTable(head);
  if (publish !== undefined) {
    const { messages, msgPerSecond, MBperSecond, latencyMs } = publish;
    table.push([
      'publish → ack',
      ...rates(messages, msgPerSecond, MBperSecond),
      ...times(latencyMs),
    ]);
    if (publish.lateMs !== undefined)
      table.push(['sent late by', '', '', '', '', ...times(publish.lateMs)]);
  }
  if (consume !== undefined) {
    const { messages, msgPerSecond, MBperSecond, endToEndMs } = consume;
    table.push(['→ delivery', ...rates(messages, msgPerSecond, MBperSecond), ...times(endToEndMs)]);
  }
  const seconds = Math.max(publish?.seconds ?? 0, consume?.seconds ?? 0);
  const load =
    `${plan.producers} producers x ${plan.inFlight} batches of ${plan.batchMessages}, ` +
    `${formatSize(plan.messageBytes)} each, ${plan.buckets} buckets, ${plan.consumers} consumers` +
    `${plan.rate === undefined ? '' : `, ${whole(plan.rate)}/s offered`}; ` +
    `${formatDuration(seconds * 1000)}${interrupted ? ', interrupted' : ''}`;
  const lines = [load, table.toString()];
  if (verify !== undefined) lines.push(verdictLine(verify));
  return `${lines.join('\n')}\n`;
}

function verdictLine(verify: Verdict): string {
  const color = colorsFor(process.stdout);
  const { ok, ...counts } = verify;
  const text = Object.entries(counts)
    .map(([name, count]) => `${whole(count)} ${name}`)
    .join(', ');
  return ok ? `${color.green('verified')}: ${text}` : `${color.red('FAILED')}: ${text}`;
}

function rates(messages: number, perSecond: number, megabytes: number): string[] {
  const multiple = (perSecond / REFERENCE_RATE).toFixed(1);
  return [whole(messages), whole(perSecond), megabytes.toFixed(1), multiple];
}

function times(latency: Latency | undefined): string[] {
  if (latency === undefined) return ['', '', '', '', ''];
  const { p50, p90, p99, p999, max } = latency;
  return [p50, p90, p99, p999, max].map((ms) => ms.toFixed(2));
}

function newTable(head: string[]): InstanceType<typeof Table> {
  const colAligns = head.map((_, index) => (index === 0 ? 'left' : 'right'));
  const plain = { head: [], border: [] };
  const color = colorsFor(process.stdout).isColorSupported;
  return new Table({ head, colAligns: colAligns as never, ...(color ? {} : { style: plain }) });
}

function bucketsOf({ firstBucket, buckets }: LoadPlan): string {
  const last = firstBucket + BigInt(buckets - 1);
  return buckets === 1 ? `bucket ${firstBucket}` : `buckets ${firstBucket} to ${last}`;
}

function whole(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Commander: a whole number, 0 included. */
function number(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** Commander: a size in bytes. */
function sizeBytes(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** Commander: messages per second, with or without the unit. */
function perSecond(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(\/s)?$/.exec(text);
  const value = match === null ? 0 : Number(match[1]);
  if (value <= 0) throw new InvalidArgumentError('It must be a number of messages per second.');
  return value;
}

/** Commander: a dialect. */
function wireName(text: string): 'u64' | 'u32' {
  if (text === 'u64' || text === 'u32') return text;
  throw new InvalidArgumentError('It must be u64 or u32.');
}
