// Where the verbs write: results to standard output, notes to standard error, colour only where a
// person looks. Exit codes have their one list here.

import fs from 'node:fs';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import picocolors from 'picocolors';
import { watchReader } from '../io/reader.ts';

/** Exit codes of the program; public surface. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 69,
  bug: 70,
  disk: 74,
  locked: 75,
  config: 78,
} as const;

/** Ends a verb with a sentence for the person and a code for the caller. */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** Colour for a stream: on a terminal, unless NO_COLOR says no; FORCE_COLOR says yes anywhere. */
export function wantsColor(stream: { isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0';
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

export function colorsFor(stream: { isTTY?: boolean }) {
  return picocolors.createColors(wantsColor(stream));
}

/**
 * Who reads our notes decides nothing: a closed or full standard error loses them and ends no verb.
 * To be called before the first of them.
 */
export function guardNotes(): void {
  process.stderr.on('error', () => {});
}

/** A line for the person in front of the terminal. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** An error for the person in front of the terminal. */
export function complain(text: string): void {
  process.stderr.write(`${colorsFor(process.stderr).red('error:')} ${text}\n`);
}

/** What was to be written to standard output was not, or not all of it. */
export class OutputError extends Error {
  /** Its reader left, as `head` does: the end of the work, not a failure. */
  readonly isGone: boolean;
  constructor(cause: NodeJS.ErrnoException) {
    super(`cannot write to standard output: ${cause.message}`, { cause });
    this.name = 'OutputError';
    this.isGone = ['EPIPE', 'ECONNRESET'].includes(cause.code ?? '') || isHungUp(cause);
  }
}

/** A terminal that was closed gives this; on a file it is a failing disk. */
function isHungUp({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EIO' && process.stdout.isTTY === true;
}

const STDOUT = 1;
let writeOutput: ((data: Uint8Array) => Promise<void>) | undefined;
let lastWrite: Promise<void> = Promise.resolve();
let failure: OutputError | undefined;

/**
 * Writes to standard output and settles when all of it is taken, so a slow reader holds up its
 * writer.
 * @throws OutputError when it was not, and from then on.
 */
export function emit(data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const write = lastWrite.then(async () => {
    if (failure !== undefined) throw failure;
    writeOutput ??= openOutput();
    try {
      await writeOutput(bytes);
    } catch (error) {
      failure = new OutputError(error as NodeJS.ErrnoException);
      throw failure;
    }
  });
  lastWrite = write.catch(() => {});
  return write;
}

/** Says what was done. The work is done all the same when nobody can read that. */
export async function emitDone(text: string): Promise<void> {
  try {
    await emit(text);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    if (!error.isGone) note(`what was asked for is done, but ${error.message}`);
  }
}

/** Settles when everything so far is written; throws the OutputError if there was one. */
export async function emitted(): Promise<void> {
  await lastWrite;
  if (failure !== undefined) throw failure;
}

function openOutput(): (data: Uint8Array) => Promise<void> {
  const kind = fs.fstatSync(STDOUT);
  if (!kind.isFIFO() && !kind.isSocket() && !isatty(STDOUT)) return writeWhole;
  // The write's own callback reports errors; the event without a listener would end the process.
  process.stdout.on('error', () => {});
  return (data) =>
    new Promise((resolve, reject) => {
      process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
    });
}

/** Files and devices. The stream of Node.js takes a write for whole that a full disk cut short. */
async function writeWhole(data: Uint8Array): Promise<void> {
  const write = promisify(fs.write);
  for (let at = 0; at < data.length; ) {
    const { bytesWritten } = await write(STDOUT, data, at, data.length - at, null);
    at += bytesWritten;
  }
}

/** Ends a verb that only reads when nobody reads what it says any more. */
export function endWithReader(): void {
  watchReader(() => process.exit());
}
