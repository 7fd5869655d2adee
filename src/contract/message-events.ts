// What a module that is loaded into the broker's process is told of messages, on channels of Node's
// diagnostics_channel.

/** What becomes of messages, in the order of a life without failures. */
export const MESSAGE_EVENTS = [
  'sealed',
  'durable',
  'delivered',
  'settled',
  'requeued',
  'deferred',
] as const;

export type MessageEventName = (typeof MESSAGE_EVENTS)[number];

/** The channel of an event: `thrustmq:sealed` and so on. */
export function channelOf(name: MessageEventName): string {
  return `thrustmq:${name}`;
}

/** Messages of one bucket with consecutive sequence numbers, to which the same happened at once. */
export interface MessageEvent {
  /** Wall clock, in ms since 1970. */
  timeMs: number;
  /** Id of the bucket, in decimal. */
  bucket: string;
  /** Sequence number of the first message. */
  sequence: number;
  /** How many messages, at least 1. */
  count: number;
  /** Where the record of the first message stands in the log, in bytes from its beginning. */
  position: number;
  /** Of the bodies of all records that the messages are in, also where these hold further ones. */
  bytes: number;
  /** Attempts that were charged; `requeued` and `deferred` count the one that has just failed. */
  attempts: number;
  /** Who got or held them; absent in `sealed` and `durable`, and where an operator purged. */
  consumer?: MessageConsumer;
  /**
   * Of `settled`: `done`, `purged`, `dropped` (too much, or too old), `dead` (and kept nowhere) or
   * `moved` (to another line: dead, or given back). Of `requeued`, ready again at once, and `deferred`, ready after a time: `failed` or
   * `released`, as the consumer said; of `requeued` also `lost`.
   */
  cause?: 'done' | 'purged' | 'dropped' | 'dead' | 'moved' | 'failed' | 'released' | 'lost';
  /** With the cause `lost`: why the connection ended, as in the metrics (close-reasons.ts). */
  closed?: string;
}

export interface MessageConsumer {
  /** The id that it gave, in decimal. */
  id: string;
  /** Remote address and port. */
  peer: string;
  /** Tells its connection from all others of this start; what `conn ls` shows. */
  connection: number;
}
