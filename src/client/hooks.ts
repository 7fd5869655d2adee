// Calls the functions that users hand in. What one of them throws, or its promise rejects with,
// ends neither the program nor the work under way: it becomes a warning of the process.

/** Warnings of one producer or consumer are at least this far apart; those between are counted. */
const APART_MS = 1000;

export class Hooks {
  readonly #owner: string;
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  /** `owner` is whose hooks they are, for people. */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /** Calls a hook and waits for nothing. `name` is the option it came by. */
  call(name: string, hook: () => unknown): void {
    try {
      const result = hook() as { then?: unknown } | undefined;
      if (typeof result?.then === 'function')
        Promise.resolve(result).catch((error) => this.warn(`${name} rejected`, error));
    } catch (error) {
      this.warn(`${name} threw`, error);
    }
  }

  /** Tells the process what went wrong, at most once a second. */
  warn(what: string, error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#warnedAtMs < APART_MS) {
      this.#unsaid += 1;
      return;
    }
    const more = this.#unsaid > 0 ? `; ${this.#unsaid} more since the last warning` : '';
    this.#warnedAtMs = nowMs;
    this.#unsaid = 0;
    const stack = error instanceof Error ? error.stack : undefined;
    process.emitWarning(`${what} (${this.#owner}): ${text(error)}${more}`, {
      type: 'ThrustWarning',
      ...(stack === undefined ? {} : { detail: stack }),
    });
  }
}

function text(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'something that has no text'; // an object without toString
  }
}
