// Loads that several scenarios share.

import type { Load } from './bed.ts';

/** 100 bytes, batches of 1000, 16 in flight on one connection. */
export const STREAM: Load = {
  producers: 1,
  consumers: 0,
  messageBytes: 100,
  batchMessages: 1000,
  inFlight: 16,
};

/** A backlog that grows without end would measure something else; this one is 20 MB. */
export const BACKLOG_MESSAGES_MAX = 200_000;

export const END_TO_END: Load = {
  ...STREAM,
  consumers: 1,
  consumerBatchMessages: 1000,
  backlogMessagesMax: BACKLOG_MESSAGES_MAX,
};

export const SYNCHRONOUS: Load = { producers: 1, consumers: 0, batchMessages: 1, inFlight: 1 };
