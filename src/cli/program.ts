// The command line: which verbs there are, how wrong usage is answered. Loads only the verb that
// was asked for, so that `pub` does not pay for the broker.

import { isatty } from 'node:tty';
import { Command, CommanderError, type Option } from 'commander';
import { isOutOfDescriptors, tooFewDescriptors } from '../io/descriptors.ts';
import { demandText, restoreArguments } from './argv.ts';
import { CliError, complain, EXIT, emit, emitted, guardNotes, OutputError } from './output.ts';
import { holdSignals } from './signals.ts';
import { readVersion } from './version.ts';

interface Verb {
  summary: string;
  load(): Promise<(program: Command) => void>;
}

const DEFAULT_VERB = 'serve';

const VERBS: Record<string, Verb> = {
  serve: {
    summary: 'run a broker (the default)',
    load: async () => (await import('./serve.ts')).registerServe,
  },
  pub: {
    summary: 'publish messages to a bucket',
    load: async () => (await import('./pub.ts')).registerPub,
  },
  sub: {
    summary: 'receive the messages of a bucket',
    load: async () => (await import('./sub.ts')).registerSub,
  },
  stats: {
    summary: 'show what a running broker does',
    load: async () => (await import('./stats.ts')).registerStats,
  },
  top: {
    summary: 'watch a running broker',
    load: async () => (await import('./top.ts')).registerTop,
  },
  bucket: {
    summary: 'list buckets, look into them, purge, pause and resume them',
    load: async () => (await import('./bucket.ts')).registerBucket,
  },
  why: {
    summary: "say why a bucket's messages are not delivered, and until when",
    load: async () => (await import('./why.ts')).registerWhy,
  },
  dead: {
    summary: 'list dead messages, look at them, give them back or purge them',
    load: async () => (await import('./dead.ts')).registerDead,
  },
  rule: {
    summary: 'list rules, and explain what is in force for a bucket',
    load: async () => (await import('./rule.ts')).registerRule,
  },
  conn: {
    summary: 'list the connections of a running broker, or close one',
    load: async () => (await import('./conn.ts')).registerConn,
  },
  cluster: {
    summary: 'show the nodes of a cluster, or let another one own the log',
    load: async () => (await import('./cluster.ts')).registerCluster,
  },
  backup: {
    summary: 'copy the log of a broker, also while it runs',
    load: async () => (await import('./backup.ts')).registerBackup,
  },
  bench: {
    summary: 'measure a broker',
    load: async () => (await import('./bench.ts')).registerBench,
  },
  log: {
    summary: 'verify, sum up, dump or repair the log of a data folder',
    load: async () => (await import('./log.ts')).registerLog,
  },
  version: {
    summary: 'print the version',
    load: async () => (await import('./version.ts')).registerVersion,
  },
};

const EXAMPLES = `
Examples:
  thrustmq                              run a broker on ./data
  thrustmq pub 42 "hello" "world"       publish two messages to bucket 42
  thrustmq sub 42 --count 2             receive and ack two messages
  thrustmq stats                        look at the broker on this machine
  thrustmq help serve                   every setting of the broker`;

/** Runs the verb in `argv` (without node and script); gives the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  const [args, verb] = withVerb(restoreArguments(argv));
  guardNotes();
  if (verb === DEFAULT_VERB) {
    holdSignals();
  } else {
    exitOnBugs(); // the broker has its own last words
    outliveTerminal();
  }
  try {
    for (const [name, { summary, load }] of Object.entries(VERBS)) {
      if (name === verb) (await load())(program);
      else program.command(name).description(summary);
    }
    await program.parseAsync(args, { from: 'user' });
    return exitCodeSoFar();
  } catch (error) {
    return await exitCodeOf(error);
  }
}

function createProgram(): Command {
  return new Command('thrustmq')
    .description('A durable message queue: the ack means on disk.')
    .version(readVersion(), '-V, --version')
    .helpCommand('help [verb]', 'show the options of a verb')
    .showHelpAfterError('(thrustmq help VERB lists what is possible)')
    .addHelpText('after', EXAMPLES)
    .configureOutput({ writeOut: (text) => void emit(text).catch(() => {}) })
    .exitOverride()
    .hook('preAction', (_, verb) => refuseBytes(verb));
}

// Names of files that become messages are used as bytes; every other value has to be text.
function refuseBytes(verb: Command): void {
  for (const [name, value] of Object.entries(verb.opts()))
    if (name !== 'file') demandText(verb.options.find(hasName(name))?.long ?? name, value);
}

const hasName = (name: string) => (option: Option) => option.attributeName() === name;

/** The arguments with the default verb put in where there is none, and the verb to load. */
function withVerb(argv: readonly string[]): [string[], string] {
  const [first, second] = argv;
  if (first === undefined) return [[DEFAULT_VERB], DEFAULT_VERB];
  if (['-h', '--help', '-V', '--version'].includes(first)) return [[...argv], ''];
  if (first === 'help') return [[...argv], second ?? ''];
  if (first.startsWith('-')) return [[DEFAULT_VERB, ...argv], DEFAULT_VERB];
  return [[...argv], first];
}

function exitCodeSoFar(): number {
  return Number(process.exitCode ?? EXIT.ok);
}

async function exitCodeOf(error: unknown): Promise<number> {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) return EXIT.usage;
    // Help and version end in an error as well, when they are on their way.
    return emitted().then(() => EXIT.ok, exitCodeOf);
  }
  if (error instanceof CliError) {
    complain(error.message);
    return error.exitCode;
  }
  if (error instanceof OutputError) {
    // What a verb found is its exit code already, also if nobody can read the details.
    if (error.isGone) return exitCodeSoFar();
    complain(error.message);
    return exitCodeSoFar() || EXIT.disk;
  }
  return sayBug(error);
}

function sayBug(error: unknown): number {
  if (isOutOfDescriptors(error)) {
    complain(tooFewDescriptors());
    return EXIT.config;
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.bug;
}

/** Else Node.js ends with 1, which says something else: failed, damaged. */
function exitOnBugs(): void {
  const die = (error: unknown): void => process.exit(sayBug(error));
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}

/** Node.js takes back what nohup has set: who has no terminal does not end with one. */
function outliveTerminal(): void {
  if (![0, 1, 2].some((descriptor) => isatty(descriptor))) process.on('SIGHUP', () => {});
}
