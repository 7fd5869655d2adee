// Where the verbs write: results to standard output, notes to standard error, colour only where a
// person looks. Exit codes have their one list here.

import picocolors from 'picocolors';

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

/** A line for the person in front of the terminal. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** An error for the person in front of the terminal. */
export function complain(text: string): void {
  process.stderr.write(`${colorsFor(process.stderr).red('error:')} ${text}\n`);
}

let watched = false;

/** Writes to standard output and settles when it is taken, so a slow reader holds up its writer. */
export function emit(data: string | Uint8Array): Promise<void> {
  // The write's own callback reports errors; the event without a listener would end the process.
  if (!watched) process.stdout.on('error', () => {});
  watched = true;
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

/** The reader of our output went away, as `head` does: the end of the work, not an error. */
export function isBrokenPipe(error: unknown): boolean {
  return (error as NodeJS.ErrnoException)?.code === 'EPIPE';
}
