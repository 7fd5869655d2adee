// What clients of a cluster saw, in the order in which they saw it: one list of all that was
// published, answered, delivered and acked, and of the connections that it went over. All clients
// of a history live in one process, so the place in the list says what came before what.

/** What happened at a client. An event's place in the list is its time for what is judged. */
export interface HistoryEvent {
  kind: EventKind;
  connection: number;
  /** Number of the message; -1 where it is about none. */
  number: number;
  /** Wall clock, ms; for rules about time and for people. */
  ms: number;
}

/**
 * - `open`, `close`: of the connection, as its client saw it.
 * - `publish`: handed to the socket; `stored` and `refused`: what the broker answered. A publish
 *   with neither has an unknown outcome.
 * - `deliver`: came to a consumer; `done`, `failed`: the answer was handed to the socket.
 * - `beat`: a heartbeat came, and was answered.
 * - `foreign`: something was delivered that no producer ever made.
 */
export type EventKind =
  | 'open'
  | 'close'
  | 'publish'
  | 'stored'
  | 'refused'
  | 'deliver'
  | 'done'
  | 'failed'
  | 'beat'
  | 'foreign';

export interface Connection {
  side: 'producer' | 'consumer';
  /** Whose it is. */
  client: string;
  /** Where it went, for people. */
  to: string;
  /** Of a consumer: its bucket, and most messages that it is given at once. */
  bucket: number;
  batch: number;
}

/** Records, and hands out numbers of messages. */
export class History {
  readonly events: HistoryEvent[] = [];
  readonly connections: Connection[] = [];
  /** Bucket of each message. */
  readonly buckets: number[] = [];
  /** Messages that were refused. */
  refused = 0;
  readonly #clock: () => number;
  readonly #open = new Set<number>();
  // Acked to a producer, and not yet by a consumer.
  readonly #owed = new Set<number>();
  readonly #done = new Set<number>();
  readonly #watchers = new Set<() => void>();

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  /** Messages that a producer has an ack for and that no consumer has acked. */
  get owed(): ReadonlySet<number> {
    return this.#owed;
  }

  /** A new message for a bucket. */
  next(bucket: number): number {
    return this.buckets.push(bucket) - 1;
  }

  open(connection: Connection): number {
    const at = this.connections.push(connection) - 1;
    this.#open.add(at);
    this.#add('open', at, -1);
    return at;
  }

  /** Once for each connection; more often does nothing. */
  close(connection: number): void {
    if (this.#open.delete(connection)) this.#add('close', connection, -1);
  }

  publish(connection: number, number: number): void {
    this.#add('publish', connection, number);
  }

  answered(connection: number, number: number, isStored: boolean): void {
    if (!isStored) this.refused++;
    else if (!this.#done.has(number)) this.#owed.add(number);
    this.#add(isStored ? 'stored' : 'refused', connection, number);
  }

  deliver(connection: number, number: number): void {
    this.#add('deliver', connection, number);
  }

  acked(connection: number, number: number, isDone: boolean): void {
    if (isDone) {
      this.#done.add(number);
      this.#owed.delete(number);
    }
    this.#add(isDone ? 'done' : 'failed', connection, number);
  }

  beat(connection: number): void {
    this.#add('beat', connection, -1);
  }

  foreign(connection: number): void {
    this.#add('foreign', connection, -1);
  }

  /** Resolves with the first of its looks, now or after an event, that is true. */
  until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => {
      const watcher = () => {
        if (!isSo()) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  /** All that was seen of a message, a line each. */
  explain(number: number): string {
    return this.events
      .flatMap((event, at) => {
        if (event.number !== number) return [];
        const { client, to } = this.connections[event.connection]!;
        return [`${at} ${event.ms} ${event.kind} ${client}#${event.connection} at ${to}`];
      })
      .join('\n');
  }

  #add(kind: EventKind, connection: number, number: number): void {
    this.events.push({ kind, connection, number, ms: this.#clock() });
    for (const watcher of [...this.#watchers]) watcher();
  }
}
