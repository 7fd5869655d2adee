// How many files and sockets this process may have open, and how to load the program where that is
// few. What the broker does with the number is connection-limits.ts.

import fs from 'node:fs';
import module from 'node:module';

// Node.js 20 reads the modules of a program at the same time, more than a hundred of them.
const FEW = 256;
/** A broker with a short log and one client; below it, it would fail at any moment. */
export const DESCRIPTORS_LEAST = 48;
// Any other verb.
const VERB_LEAST = 32;

/** The limit of open descriptors; undefined where the system does not tell. */
export function descriptorLimit(read = fs.readFileSync): number | undefined {
  try {
    const limits = String(read('/proc/self/limits'));
    const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    return Number.isNaN(soft) ? undefined : soft;
  } catch {
    return undefined; // no such file outside Linux
  }
}

/** Whether what failed is that no further file could be opened, here or in the whole system. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'EMFILE' || code === 'ENFILE';
}

/** What to tell who has too few of them. */
export function tooFewDescriptors(limit = descriptorLimit(), least?: number): string {
  const number = limit === undefined ? '' : ` ${limit}`;
  const needed = least === undefined ? 'too few' : `too few, at least ${least} are needed`;
  return `the${number} files and sockets that this process may have open are ${needed}. Raise the limit: ulimit -n, LimitNOFILE= (systemd), --ulimit nofile= (docker)`;
}

/** The same for a log of so many files: each is open, and so is its index, or it is being read. */
export function tooFewForLog(files: number, limit = descriptorLimit()): string {
  return `${tooFewDescriptors(limit, DESCRIPTORS_LEAST + 2 * files)}. The log has ${files} files`;
}

/** Throws `refuse(why)` where a broker could not run. */
export function demandDescriptors(refuse: (why: string) => Error, limit = descriptorLimit()): void {
  if (limit !== undefined && limit < DESCRIPTORS_LEAST)
    throw refuse(tooFewDescriptors(limit, DESCRIPTORS_LEAST));
}

// Runs on a thread of Node.js, as text: it is there before any module of the program is.
const ONE_BY_ONE = `
import { readFileSync } from 'node:fs';
export async function load(url, context, next) {
  const isOurs = url.startsWith('file:') && context.format === 'module';
  if (!isOurs) return next(url, context);
  return { format: 'module', source: readFileSync(new URL(url)), shortCircuit: true };
}`;

/**
 * From here on modules are read one after the other, if descriptors are few. Gives what to say
 * where they are too few for any verb.
 */
export function loadModestly(limit = descriptorLimit()): string | undefined {
  if (limit === undefined || limit >= FEW) return undefined;
  if (limit < VERB_LEAST) return tooFewDescriptors(limit, DESCRIPTORS_LEAST);
  module.register(`data:text/javascript,${encodeURIComponent(ONE_BY_ONE)}`);
  return undefined;
}
