// What an operator can ask a running broker, and what it answers. Types only. Every answer is
// bounded; 64-bit numbers are decimal text; times are ISO 8601, UTC.

import type { Why } from './why.ts';

export const BUCKET_SORTS = ['backlog', 'age', 'rate', 'id'] as const;
export type BucketSort = (typeof BUCKET_SORTS)[number];

/** Rows of one answer at most. */
export const ROWS_MAX = 1000;
/** Messages of one peek, and their bytes. */
export const PEEK_MAX = 100;
export const PEEK_BYTES_MAX = 1024 * 1024;

export type Command =
  | {
      kind: 'buckets';
      sort: BucketSort;
      limit: number;
      /** Where the page before this one ended. */
      cursor?: string | undefined;
      /** Only ids that begin with these digits. */
      prefix?: string | undefined;
    }
  | { kind: 'bucket'; id: string }
  | { kind: 'peek'; id: string; limit: number; bytes: number }
  | { kind: 'connections'; limit: number; cursor?: string | undefined }
  | { kind: 'segments'; limit: number; cursor?: string | undefined }
  | { kind: 'rules'; limit: number; cursor?: string | undefined }
  | { kind: 'rule'; name: string }
  /** What is in force for a bucket. */
  | { kind: 'bucket-rule'; id: string }
  | { kind: 'close'; connection: number }
  | { kind: 'pause'; id: string }
  | { kind: 'resume'; id: string }
  | { kind: 'purge'; id: string }
  /** Begins a backup into a folder of the broker's host. */
  | { kind: 'backup'; into: string }
  | { kind: 'backup-state' }
  | { kind: 'backup-cancel' };

export type CommandKind = Command['kind'];

/** Commands that change something. */
export const CHANGES: readonly CommandKind[] = [
  'close',
  'pause',
  'resume',
  'purge',
  'backup',
  'backup-cancel',
];

export type Outcome = { ok: true; result: object } | Refusal;

export interface Refusal {
  ok: false;
  code: 'bad-request' | 'not-found' | 'conflict' | 'too-many' | 'failed' | 'stopping';
  detail: string;
}

export interface BucketRow {
  id: string;
  ready: number;
  unacked: number;
  /** To be ready at a time, as far as it is known. */
  delayed: number;
  /** Whether `ready` counts everything; else the oldest part of the backlog is not counted yet. */
  exact: boolean;
  consumers: number;
  /** Per second, averaged over some seconds. */
  publishedRate: number;
  settledRate: number;
  /** Age of the oldest ready message; `ageIs` says how well it is known. Null: nothing is ready. */
  oldestAgeMs: number | null;
  ageIs: 'exact' | 'at-least' | 'at-most';
  paused: boolean;
  why: Why;
}

export interface BucketPage {
  buckets: BucketRow[];
  /** To ask for the next page with; null: this is the last. */
  cursor: string | null;
  /** Buckets that are known. */
  count: number;
  /** Whether there may be more with messages on disk that nobody has asked for since the start. */
  more: boolean;
}

export interface ConsumerRow {
  connection: number;
  peer: string;
  consumerId: string;
  state: string;
  batchSize: number;
  unacked: number;
  messages: number;
  /** Time since the last byte came from it. */
  silentMs: number;
}

export interface BucketInfo extends BucketRow {
  /** Messages that were delivered, came back, and are next. */
  returned: number;
  /** What rules set for it; the rest is the default. */
  rules: { key: string; value: string; rule: string }[];
  /** At most 100. */
  consumersList: ConsumerRow[];
  purge: PurgeState | null;
}

export interface PurgeState {
  bucket: string;
  startedAt: string;
  /** Messages whose purge is on disk: they do not come back. */
  purged: number;
  done: boolean;
}

export interface BackupState {
  /** Folder on the broker's host. */
  into: string;
  startedAt: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  /** Why there is none; null while it runs and when it is done. */
  detail: string | null;
  /** Log position that it reaches to; null: not begun yet. All that was acked before is in it. */
  position: string | null;
  bytes: number;
  totalBytes: number | null;
  /** Segments that are copied. */
  segments: number;
  totalSegments: number | null;
}

export interface PeekedMessage {
  sequence: string;
  /** Deliveries before that ended without an ack. */
  attempts: number;
  /** Bytes of the message; `payload` may hold fewer. */
  length: number;
  truncated: boolean;
  /** Base64. */
  payload: string;
}

export interface PeekResult {
  id: string;
  messages: PeekedMessage[];
  /** Whether the answer ended before `limit` because of its size. */
  cut: boolean;
}

export interface SegmentRow {
  base: string;
  bytes: number;
  messages: number;
  live: number;
  firstSequence: string;
  /** Null: it holds none. */
  lastSequence: string | null;
  state: 'open' | 'complete' | 'indexed';
  /** It is the oldest with live messages: nothing from here on can be given back whole. */
  pinned: boolean;
}

export interface RuleRow {
  name: string;
  /** An id, a range, value and mask, or `*`. */
  match: string;
  /** What it sets, as written in rules. */
  keys: Record<string, string>;
  /** Those of the configuration file cannot be changed while the broker runs. */
  source: 'file';
}

export interface RulePage {
  /** In the order of their names. */
  rules: RuleRow[];
  /** To ask for the next page with; null: this is the last. */
  cursor: string | null;
  count: number;
}

/** What is in force for a bucket. */
export interface BucketRule {
  bucket: string;
  /** `rule`: the name of the one that decides; null: the value is the default. */
  keys: { key: string; value: string; rule: string | null }[];
}

/** Whether a text is a bucket's id as decimal digits, without leading zeros. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && /^(0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < 1n << 64n;
}
