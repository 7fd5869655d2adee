// Why a bucket's messages are not being delivered, as one code of a closed list: in the API, the
// page, the command line and the metrics.

/** The closed list, with what each code means. The first that is true is the answer. */
export const WHY = {
  stopping: 'the broker is stopping: nothing new is delivered',
  suspended:
    'this node cannot confirm that it still owns the log: nothing is delivered until it can',
  purging: 'what waits is being purged',
  expiring: 'what waited longer than a rule allows (ttl, dead_keep) is being taken out',
  'storage-full': 'nothing waits, and publishes are refused because the disk is full',
  empty: 'nothing waits',
  paused: 'deliveries are paused by an operator',
  'dying-waits': 'messages that died cannot be moved, because the disk is full',
  'in-retry': 'nothing is ready: what waits failed, or was given back, and is to come again later',
  delayed: 'nothing is ready: a rule says that what was published is to come later (delay)',
  'no-consumer': 'messages wait and nobody consumes the bucket',
  'behind-higher':
    'sources of the virtual bucket that have a higher priority come first (order=strict)',
  'virtual-turn':
    'consumers of the virtual bucket are given these messages in turn with those of its other sources',
  'consumer-not-reading': 'no consumer takes what was sent to it',
  'consumer-silent': 'every consumer holds messages or owes a heartbeat, and has been silent',
  'at-max-in-flight': 'as many messages are unacked as a rule allows (max_in_flight)',
  'suspects-out':
    'every consumer holds messages; some were lost with a consumer before and come apart from the rest',
  'consumers-at-limit': 'every consumer holds a full batch that it has not acked yet',
  'heartbeat-pending': 'every consumer has yet to answer a heartbeat',
  'in-order-hold':
    'one message at a time (max_in_flight): the next one failed, and is to come again later',
  'at-rate': 'the rate that a rule allows is used up (rate)',
  'memory-full': 'all buffers together are at their limit (--buffer)',
  reading: 'what comes next is being read from disk',
  'suspects-first':
    'messages come first, a few at a time, that were lost together with their consumer',
  redelivering: 'what comes next was delivered before and not acked',
  delivering: 'messages are being delivered',
} as const;

export type WhyCode = keyof typeof WHY;

export const WHY_CODES = Object.keys(WHY) as WhyCode[];

export interface Why {
  code: WhyCode;
  /** The code in words, with the numbers of this bucket. */
  text: string;
  /** Since when, ISO 8601; only where it is known. */
  since?: string;
  /** Until when, ISO 8601; only where it is known. */
  until?: string;
}
