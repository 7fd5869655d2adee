// What an operator can ask a running broker, and what it answers. Types only. Every answer is
// bounded; 64-bit numbers are decimal text; times are ISO 8601, UTC.

import type { MovedMessage, RedriveState } from './dead-messages.ts';
import type { Why } from './why.ts';

export const BUCKET_SORTS = ['backlog', 'age', 'rate', 'id'] as const;
export type BucketSort = (typeof BUCKET_SORTS)[number];

/** A bucket's own line, and the one of its messages that died: moved there, and not given out. */
export const LINES = ['live', 'dead'] as const;
export type Line = (typeof LINES)[number];

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
      /** Of which lines; live unless said. */
      line?: Line | undefined;
    }
  | { kind: 'bucket'; id: string; line?: Line | undefined }
  | {
      kind: 'peek';
      id: string;
      limit: number;
      bytes: number;
      line?: Line | undefined;
      /** Sequence of the last message of the answer before: this one begins behind it. */
      after?: string | undefined;
    }
  | { kind: 'connections'; limit: number; cursor?: string | undefined }
  | { kind: 'segments'; limit: number; cursor?: string | undefined }
  | { kind: 'rules'; limit: number; cursor?: string | undefined }
  | { kind: 'rule'; name: string }
  | { kind: 'rule-keys' }
  /** What is in force for a bucket. */
  | { kind: 'bucket-rule'; id: string }
  | (RuleOrder & { kind: 'rule-set'; match: string; words: readonly string[] })
  | (RuleOrder & { kind: 'rule-remove' })
  | { kind: 'close'; connection: number }
  | { kind: 'pause'; id: string }
  | { kind: 'resume'; id: string }
  | { kind: 'purge'; id: string; line?: Line | undefined }
  /** Gives back what is dead of a bucket: to where it was, or `to` another one; as many as `limit`,
   * and so many a second. */
  | {
      kind: 'redrive';
      id: string;
      to?: string | undefined;
      limit?: number | undefined;
      rate?: number | undefined;
    }
  | { kind: 'redrive-cancel'; id: string }
  /** Why the first messages of a bucket's dead line died. */
  | { kind: 'dead-reasons'; id: string; limit: number }
  /** Begins a backup into a folder of the broker's host. */
  | { kind: 'backup'; into: string }
  | { kind: 'backup-state' }
  | { kind: 'backup-cancel' }
  /** Lets another node own the log; or, with `leader`, another server lead the stream: StepDown. */
  | { kind: 'cluster-step-down'; leader?: boolean | undefined };

/** What sets a rule, of words `key=value`, and what removes it. */
export interface RuleOrder {
  name: string;
  /** The version that it has to have, `any` version, or `none`: there is no such rule yet. */
  expected?: string | undefined;
  /** Only what would change is answered: a RulePreview. */
  preview?: boolean;
}

export type CommandKind = Command['kind'];

/** Commands that change something. */
export const CHANGES: readonly CommandKind[] = [
  'close',
  'pause',
  'resume',
  'purge',
  'redrive',
  'redrive-cancel',
  'rule-set',
  'rule-remove',
  'backup',
  'backup-cancel',
  'cluster-step-down',
];

export type Outcome = { ok: true; result: object } | Refusal;

export interface Refusal {
  ok: false;
  code:
    | 'bad-request'
    | 'not-found'
    | 'conflict'
    /** What was to be changed is not what it was when it was looked at. */
    | 'changed'
    | 'no-space'
    | 'too-many'
    | 'failed'
    | 'stopping';
  detail: string;
  /** The part of what was asked that is wrong, where it is one: of a rule `name`, `match` or a key. */
  at?: string;
}

export interface BucketRow {
  id: string;
  ready: number;
  unacked: number;
  /** To be ready at a time, as far as it is known. */
  delayed: number;
  /** When the first of these is; null: there is none, or it is too far away to be known. */
  nextDueAt: string | null;
  /** Messages of it that died and are kept, as far as they are known. */
  dead: number;
  /** Whether `ready` counts everything; else the oldest part of the backlog is not counted yet. */
  exact: boolean;
  consumers: number;
  /** The virtual bucket whose consumers are given what waits here, too. */
  virtual?: string;
  /** Of a virtual bucket: buckets of which something can be given to its consumers now. */
  sources?: number;
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
  /** Of these, messages that were lost with others and come again apart from the rest. */
  suspects: number;
  /** What rules set for it; the rest is the default. */
  rules: { key: string; value: string; rule: string }[];
  /** At most 100. */
  consumersList: ConsumerRow[];
  purge: PurgeState | null;
  /** Of its dead line: how what is dead of it is, or was, given back; absent for its own. */
  redrive?: RedriveState | null;
}

export interface PurgeState {
  bucket: string;
  /** Of which its messages are purged; absent: its own. */
  line?: Line;
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
  /** Of a message that was moved here. */
  moved?: MovedMessage;
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
  /** Those of the configuration `file` cannot be changed while the broker runs; others were `set`. */
  source: 'file' | 'set';
  /** Of those that were set: another one with each change. */
  version?: string;
}

/** What rules can set, in the order in which it is written. */
export interface RuleKeys {
  /** `usual`: the value where no rule says one. */
  keys: { key: string; usual: string; takes: string; help: string }[];
}

export interface RuleRemoved {
  name: string;
  /** The version that it had. */
  removed: string;
}

/** What a change of rules would come to, for the buckets that are known. */
export interface RulePreview {
  /** Buckets that were looked at; there may be `more` on disk that nobody asked for. */
  looked: number;
  more: boolean;
  /** How many of them it changes; the latter by key, too. */
  changed: number;
  keys: Record<string, number>;
  /** The first of them, 100 at most. */
  buckets: { bucket: string; changes: { key: string; before: string; after: string }[] }[];
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
  /** The virtual bucket whose consumers are given what waits here, and the rule that says so. */
  virtual: { bucket: string; rule: string } | null;
}

/** Whether a text is a bucket's id as decimal digits, without leading zeros. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && /^(0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < 1n << 64n;
}
