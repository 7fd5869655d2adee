// The model's lines: what waits in each bucket, oldest first, and what is to be ready at a time.

import { wasGiven } from './delays.ts';
import type { Message } from './model.ts';

export class Lines {
  readonly #byBucket = new Map<number, Message[]>();
  /** Pending and waiting messages. */
  readonly delayed = new Set<Message>();
  readyCount = 0;

  of(bucket: number): readonly Message[] {
    return this.#byBucket.get(bucket) ?? [];
  }

  get buckets(): Iterable<number> {
    return this.#byBucket.keys();
  }

  enter(message: Message): void {
    let line = this.#byBucket.get(message.bucket);
    if (line === undefined) {
      line = [];
      this.#byBucket.set(message.bucket, line);
    }
    let at = line.length;
    while (at > 0 && line[at - 1]!.sequence > message.sequence) at--;
    line.splice(at, 0, message);
    message.state = 'ready';
    this.readyCount++;
  }

  leave(message: Message): void {
    const line = this.#byBucket.get(message.bucket)!;
    line.splice(line.indexOf(message), 1);
    this.readyCount--;
  }

  delayedOf(bucket: number): Message[] {
    return [...this.delayed].filter((message) => message.bucket === bucket);
  }

  /** Ready and delayed messages of a bucket. */
  countOf(bucket: number): number {
    return this.of(bucket).length + this.delayedOf(bucket).length;
  }

  /** Messages of a bucket that were with a consumer and are to come again later. */
  againLater(bucket: number): Message[] {
    return this.delayedOf(bucket).filter(wasGiven);
  }

  /** When the last message is to be ready. */
  get lastDueMs(): number {
    return Math.max(0, ...[...this.delayed].map(({ delays }) => delays.dueMs));
  }
}
