// How long a message may take from its first byte to its last: so long, and longer the more of it
// was announced, so that a slow but honest sender ends it in time.

// It may take a second for each part of this size.
const BYTES_PER_GRACE_SECOND = 65536;

export class PartialDeadline {
  readonly #leastMs: number;
  #allowedMs = 0;
  /** When the message was begun; -1: there is none, or its time stands still. */
  sinceMs = -1;

  /** `leastMs`: what any message may take. */
  constructor(leastMs: number) {
    this.#leastMs = leastMs;
  }

  /** When it is late; Infinity while its time stands still. */
  get dueMs(): number {
    return this.sinceMs < 0 ? Number.POSITIVE_INFINITY : this.sinceMs + this.#allowedMs + 1;
  }

  /** What to tell a sender that is late. */
  get text(): string {
    return `a message was begun and not finished within ${this.#allowedMs} ms`;
  }

  /** The message is whole, or it is the broker that does not read on. */
  stop(): void {
    this.sinceMs = -1;
  }

  /** A message of which so many bytes are announced is not whole yet. True: it is late. */
  advance(nowMs: number, announcedBytes: number): boolean {
    if (this.sinceMs < 0) {
      this.sinceMs = nowMs;
      this.#allowedMs = 0;
    }
    const graceMs = (announcedBytes / BYTES_PER_GRACE_SECOND) * 1000;
    this.#allowedMs = Math.max(this.#allowedMs, Math.round(this.#leastMs + graceMs));
    return nowMs >= this.dueMs;
  }
}
