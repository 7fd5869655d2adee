// Shapes of what the admin API answers, for its OpenAPI document.

import { WHY, WHY_CODES } from '../contract/why.ts';

export type Schema = Record<string, unknown>;

export const text: Schema = { type: 'string' };
export const number: Schema = { type: 'number' };
export const whole: Schema = { type: 'integer' };
export const flag: Schema = { type: 'boolean' };
export const time: Schema = { type: 'string', format: 'date-time' };
export const big: Schema = {
  type: 'string',
  pattern: '^\\d+$',
  description: '64 bits, as decimal text',
};
export const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema.type, 'null'] });
export const listOf = (items: Schema): Schema => ({ type: 'array', items });
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
export const cursor = {
  ...orNull(text),
  description: 'to ask for the next page with; null: the last',
};

/** All of these are required; a name with a question mark is not. */
export function object(properties: Record<string, Schema>): Schema {
  const names = Object.keys(properties);
  const required = names.filter((name) => !name.endsWith('?'));
  const plain = Object.entries(properties).map(([name, schema]) => [name.replace('?', ''), schema]);
  return { type: 'object', required, properties: Object.fromEntries(plain) };
}

const BUCKET = {
  id: big,
  ready: { ...whole, description: 'messages that wait' },
  unacked: { ...whole, description: 'messages that consumers hold' },
  delayed: { ...whole, description: 'messages to be ready at a time' },
  nextDueAt: {
    ...orNull(time),
    description: 'when the first of these is; null: there is none, or it is too far away',
  },
  dead: { ...whole, description: 'messages of it that died and are kept' },
  exact: { ...flag, description: 'false: the oldest part of the backlog is not counted yet' },
  consumers: whole,
  'virtual?': { ...big, description: 'whose consumers are given what waits here, too' },
  'sources?': { ...whole, description: 'of a virtual bucket: those with something to give now' },
  publishedRate: { ...number, description: 'messages per second, averaged over some seconds' },
  settledRate: { ...number, description: 'messages acked or purged per second' },
  oldestAgeMs: { ...orNull(number), description: 'of the oldest message that waits' },
  ageIs: { enum: ['exact', 'at-least', 'at-most'] },
  paused: flag,
  why: ref('Why'),
};

const RULES = {
  Rule: object({
    name: text,
    match: { ...text, description: 'an id, a range, value/mask, or *' },
    keys: { type: 'object', additionalProperties: text, description: 'what it sets' },
    source: { enum: ['file', 'set'], description: 'file: read-only while the broker runs' },
    'version?': { ...big, description: 'of one that was set; its ETag' },
  }),
  RuleKeys: object({
    keys: listOf(
      object({
        key: text,
        usual: { ...text, description: 'the value where no rule says one' },
        takes: text,
        help: text,
      }),
    ),
  }),
  RuleRemoved: object({ name: text, removed: { ...big, description: 'the version it had' } }),
  RulePreview: object({
    looked: { ...whole, description: 'buckets that are known' },
    more: { ...flag, description: 'whether there may be more on disk' },
    changed: { ...whole, description: 'how many of them it changes' },
    keys: { type: 'object', additionalProperties: whole, description: 'the same by key' },
    buckets: listOf(
      object({
        bucket: big,
        changes: listOf(object({ key: text, before: text, after: text })),
      }),
    ),
  }),
  RulePage: object({ rules: listOf(ref('Rule')), cursor, count: whole }),
  BucketRule: object({
    bucket: big,
    keys: {
      ...listOf(object({ key: text, value: text, rule: orNull(text) })),
      description: '`rule`: the one that decides; null: the default',
    },
    virtual: {
      ...orNull(object({ bucket: big, rule: text })),
      description: 'the virtual bucket whose consumers are given what waits here, and why',
    },
  }),
};

export const SCHEMAS: Record<string, Schema> = {
  Problem: object({
    type: text,
    title: text,
    status: whole,
    code: text,
    detail: text,
    'at?': text,
  }),
  Why: {
    ...object({ code: { enum: WHY_CODES }, text, 'since?': time, 'until?': time }),
    description: Object.entries(WHY)
      .map(([code, meaning]) => `${code}: ${meaning}`)
      .join('; '),
  },
  Overview: object({
    version: text,
    pid: whole,
    startedAt: time,
    now: time,
    uptimeMs: whole,
    'warning?': text,
    readOnly: flag,
    'servedBy?': object({ transport: { enum: ['uws', 'node'] }, 'why?': text }),
    rates: { type: 'object' },
    totals: { type: 'object' },
    buckets: object({
      count: whole,
      exact: flag,
      ready: whole,
      unacked: whole,
      delayed: whole,
      dead: whole,
      paused: whole,
      sources: whole,
      oldestAgeMs: number,
      recentIds: object({ count: whole, bytes: whole, bytesMax: whole }),
    }),
    connections: object({ intake: whole, exhaust: whole, refused: whole }),
    commits: { type: 'object' },
    latency: { type: 'object' },
    log: { type: 'object' },
    memory: { type: 'object' },
    eventLoopDelayMs: { type: 'object' },
  }),
  Config: {
    type: 'object',
    description:
      'settings in effect; secrets are left out; `settings` says of each where it came from',
  },
  History: object({
    series: listOf(text),
    rows: {
      ...listOf(listOf(number)),
      description: 'oldest first: ms since 1970, then a value for each series',
    },
  }),
  Bucket: object(BUCKET),
  BucketPage: object({
    buckets: listOf(ref('Bucket')),
    cursor,
    count: { ...whole, description: 'buckets that are known' },
    more: { ...flag, description: 'there may be more, with messages on disk only' },
  }),
  BucketInfo: object({
    ...BUCKET,
    returned: { ...whole, description: 'messages that came back and are next' },
    suspects: { ...whole, description: 'of these, lost with others: they come apart' },
    rules: {
      ...listOf(object({ key: text, value: text, rule: text })),
      description: 'what rules set for it',
    },
    consumersList: listOf(ref('Consumer')),
    purge: { anyOf: [ref('Purge'), { type: 'null' }] },
    'redrive?': { anyOf: [ref('Redrive'), { type: 'null' }] },
  }),
  Consumer: object({
    connection: whole,
    peer: text,
    consumerId: text,
    state: text,
    batchSize: whole,
    unacked: whole,
    messages: whole,
    silentMs: number,
  }),
  Redrive: object({
    bucket: big,
    startedAt: time,
    moved: { ...whole, description: 'messages that are where they go, on disk' },
    done: flag,
    stopped: {
      enum: ['limit', 'full', 'cancelled', null],
      description: 'what ended it before all were moved; full: the bucket takes no more',
    },
  }),
  DeadReasons: object({
    id: big,
    looked: { ...whole, description: 'messages that were looked at' },
    more: { ...flag, description: 'whether there are others' },
    reasons: {
      type: 'object',
      additionalProperties: whole,
      description: 'how many, by the reason of their move',
    },
  }),
  Purge: object({
    bucket: big,
    'line?': { enum: ['live', 'dead'] },
    startedAt: time,
    purged: { ...whole, description: 'messages whose purge is on disk: they do not come back' },
    done: flag,
  }),
  Messages: object({
    id: big,
    messages: listOf(
      object({
        sequence: big,
        attempts: { ...whole, description: 'deliveries before that ended without an ack' },
        length: { ...whole, description: 'bytes of the message' },
        truncated: flag,
        payload: { ...text, description: 'base64 of its first bytes' },
        'moved?': object({
          reason: { ...text, description: 'why it was moved here' },
          bucket: big,
          line: text,
          sequence: big,
          attempts: { ...whole, description: 'deliveries there that ended without an ack' },
          publishedAt: orNull(time),
          movedAt: orNull(time),
        }),
      }),
    ),
    cut: { ...flag, description: 'the answer ended early because of its size' },
  }),
  ...RULES,
  Paused: object({ id: big, paused: flag }),
  Connections: object({
    connections: listOf(
      object({
        id: whole,
        side: { enum: ['intake', 'exhaust'] },
        peer: text,
        'via?': { ...text, description: 'the node that passes it on, if one does' },
        wire: { enum: ['u64', 'u32'] },
        'consumerId?': text,
        'bucket?': big,
        'batchSize?': whole,
        'unacked?': whole,
        messages: whole,
        bytes: whole,
        idleMs: number,
      }),
    ),
    cursor,
    intake: whole,
    exhaust: whole,
  }),
  Backup: object({
    into: { ...text, description: "folder on the broker's host" },
    startedAt: time,
    state: { enum: ['running', 'done', 'failed', 'cancelled'] },
    detail: { ...orNull(text), description: 'why there is none' },
    position: { ...orNull(big), description: 'all that was acked before is in it' },
    bytes: whole,
    totalBytes: orNull(whole),
    segments: { ...whole, description: 'segments that are copied' },
    totalSegments: orNull(whole),
  }),
  Closed: object({ connection: whole, peer: text }),
  Segments: object({
    segments: listOf(
      object({
        base: big,
        bytes: whole,
        messages: whole,
        live: { ...whole, description: 'messages that are not settled' },
        firstSequence: big,
        lastSequence: orNull(big),
        state: { enum: ['open', 'complete', 'indexed'] },
        pinned: { ...flag, description: 'the oldest with live messages' },
      }),
    ),
    cursor,
    count: whole,
  }),
};
