// What a consumer can be told, and that it makes sense. Checks values, opens nothing.

import { BATCH_MESSAGES_MAX, MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { type BucketLike, type ConsumerHeader, parseU64 } from '../codec/wire.ts';
import { ThrustError, usage } from './errors.ts';
import { type ConnectionOptions, duration, whole } from './options.ts';

export interface ConsumerOptions extends ConnectionOptions {
  bucket: BucketLike;
  /** Shown on the dashboard, need not be unique. Default: the process id. */
  consumerId?: BucketLike;
  /** Most messages delivered and not acked, 1 … 65,536. Default 100. */
  batchSize?: number;
  /** Larger messages are a protocol error. Default 64 MiB. */
  messageBytesMax?: number;
  /**
   * `manual` (default): call `ack()`, `fail()` or another on each message. `auto`: a message, or batch of
   * them, is acked when the loop asks for the next one; leave the loop and the last is not.
   */
  ack?: 'manual' | 'auto';
  /**
   * Silence with nothing unacked after which the connection counts as dead; 0 = never. A broker
   * is heard at least every two seconds. Default 5000 ms.
   */
  idleTimeoutMs?: number;
}

/** Fills in and checks what is not about the connection. Throws USAGE. */
export function resolveConsumer(options: ConsumerOptions): {
  header: ConsumerHeader;
  auto: boolean;
  messageBytesMax: number;
  idleTimeoutMs: number;
} {
  const { ack = 'manual' } = options;
  if (ack !== 'manual' && ack !== 'auto')
    throw new ThrustError('USAGE', `ack is "manual" or "auto", not ${JSON.stringify(ack)}`);
  const header = {
    bucket: usage(() => parseU64(options.bucket)),
    consumerId: usage(() => parseU64(options.consumerId ?? process.pid, 'consumerId')),
    batchSize: whole('batchSize', options.batchSize, {
      fallback: 100,
      least: 1,
      most: BATCH_MESSAGES_MAX,
    }),
  };
  const messageBytesMax = whole('messageBytesMax', options.messageBytesMax, {
    fallback: MESSAGE_BYTES_CEILING,
    least: 1,
    most: MESSAGE_BYTES_CEILING,
  });
  const idleTimeoutMs = duration('idleTimeoutMs', options.idleTimeoutMs, {
    fallback: 5000,
    least: 0,
  });
  return { header, auto: ack === 'auto', messageBytesMax, idleTimeoutMs };
}
