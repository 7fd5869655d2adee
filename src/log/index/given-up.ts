// Writes of caches beside the log that ended because nobody needs what they wrote.

const GIVEN_UP = 'GIVEN_UP';

/** The error of such a write. */
export function givenUp(message: string): Error {
  return Object.assign(new Error(message), { code: GIVEN_UP });
}

/** Whether a write ended because nobody needs what it wrote, and not because it failed. */
export function isGivenUp(failure: Error): boolean {
  return (failure as NodeJS.ErrnoException).code === GIVEN_UP;
}
