// What the verbs of the admin API have in common: where its dashboard is, how the answer is to be
// printed, and how long work in the broker is waited for.

import { type Command, Option } from 'commander';
import { BUCKET_SORTS } from '../contract/commands.ts';
import { sleep } from '../time/timers.ts';
import type { DashboardTarget } from './dashboard.ts';
import { CliError, EXIT } from './output.ts';
import { addTargetOptions, bucketId, wholeNumber } from './target.ts';

/** What each of them takes. */
export interface AdminOptions extends DashboardTarget {
  json?: boolean;
}

const POLL_MS = 250;

/** Adds a verb below another one. */
export function addAdminVerb(parent: Command, name: string, text: string): Command {
  return addTargetOptions(parent.command(name).description(text), 'dashboard').option(
    '--json',
    'the answer of the API as one line of JSON',
  );
}

/** Adds one that is about a bucket. */
export function addBucketVerb(parent: Command, name: string, text: string): Command {
  return addAdminVerb(parent, name, text).argument('<bucket>', 'number of the bucket', bucketId);
}

/** Adds `ls` for buckets: in which order, and how many. */
export function addBucketList(parent: Command, text: string): Command {
  return addAdminVerb(parent, 'ls', text)
    .addOption(
      new Option('-s, --sort <ORDER>', 'largest first; by id: smallest')
        .choices(BUCKET_SORTS)
        .default('backlog'),
    )
    .option('-n, --limit <N>', 'rows at most', wholeNumber, 50);
}

interface Progress {
  readonly startedAt: string;
  readonly done: boolean;
}

/**
 * Asks for the state of what was begun until it is done. @throws CliError with what `broken` says
 * of the last one that was seen, when the broker does not know of it any more.
 */
export async function untilDone<T extends Progress>(
  begun: T,
  ask: () => Promise<T | null>,
  broken: (last: T) => string,
): Promise<T> {
  let state = begun;
  while (!state.done) {
    await sleep(POLL_MS);
    const now = await ask();
    if (now === null || now.startedAt !== begun.startedAt)
      throw new CliError(EXIT.failed, broken(state));
    state = now;
  }
  return state;
}
