// Assertions that stay on in production: a broken invariant is a bug, and a stopped broker loses
// nothing while a wrong one might.

/** A broken invariant. The process must stop: exit code 70. */
export class BugError extends Error {
  override name = 'BugError';
}

/** Throws BugError unless `truth`. */
export function assert(truth: boolean, what: string): asserts truth {
  if (!truth) throw new BugError(`bug: ${what}`);
}
