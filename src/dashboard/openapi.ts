// The admin API as an OpenAPI document, served at /api/v1/openapi.json. test/dashboard/api.test.ts
// holds it against the routes and against real answers.

import { BUCKET_SORTS, PEEK_BYTES_MAX, PEEK_MAX, ROWS_MAX } from '../contract/commands.ts';
import { WHY, WHY_CODES } from '../contract/why.ts';
import { SECONDS_MAX } from './history.ts';

type Schema = Record<string, unknown>;

const text: Schema = { type: 'string' };
const number: Schema = { type: 'number' };
const whole: Schema = { type: 'integer' };
const flag: Schema = { type: 'boolean' };
const time: Schema = { type: 'string', format: 'date-time' };
const big: Schema = { type: 'string', pattern: '^\\d+$', description: '64 bits, as decimal text' };
const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema.type, 'null'] });
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const cursor = { ...orNull(text), description: 'to ask for the next page with; null: the last' };

/** All of these are required; a name with a question mark is not. */
function object(properties: Record<string, Schema>): Schema {
  const names = Object.keys(properties);
  const required = names.filter((name) => !name.endsWith('?'));
  const plain = Object.entries(properties).map(([name, schema]) => [name.replace('?', ''), schema]);
  return { type: 'object', required, properties: Object.fromEntries(plain) };
}

const BUCKET = {
  id: big,
  ready: { ...whole, description: 'messages that wait' },
  unacked: { ...whole, description: 'messages that consumers hold' },
  exact: { ...flag, description: 'false: the oldest part of the backlog is not counted yet' },
  consumers: whole,
  publishedRate: { ...number, description: 'messages per second, averaged over some seconds' },
  settledRate: { ...number, description: 'messages acked or purged per second' },
  oldestAgeMs: { ...orNull(number), description: 'of the oldest message that waits' },
  ageIs: { enum: ['exact', 'at-least', 'at-most'] },
  paused: flag,
  why: ref('Why'),
};

const SCHEMAS: Record<string, Schema> = {
  Problem: object({ type: text, title: text, status: whole, code: text, detail: text }),
  Why: {
    ...object({ code: { enum: WHY_CODES }, text, 'since?': time }),
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
      paused: whole,
      oldestAgeMs: number,
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
    consumersList: listOf(ref('Consumer')),
    purge: { anyOf: [ref('Purge'), { type: 'null' }] },
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
  Purge: object({
    bucket: big,
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
      }),
    ),
    cut: { ...flag, description: 'the answer ended early because of its size' },
  }),
  Paused: object({ id: big, paused: flag }),
  Connections: object({
    connections: listOf(
      object({
        id: whole,
        side: { enum: ['intake', 'exhaust'] },
        peer: text,
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

const query = (name: string, schema: Schema, description: string): Schema => ({
  name,
  in: 'query',
  required: false,
  schema,
  description,
});
const limitTo = (maximum: number, usual: number): Schema =>
  query('limit', { ...whole, minimum: 1, maximum, default: usual }, 'rows at most');
const after = query('cursor', text, 'cursor of the page before');
const bucketId: Schema = {
  name: 'id',
  in: 'path',
  required: true,
  schema: big,
  description: 'bucket: 0 to 18446744073709551615',
};
const connectionId: Schema = { ...bucketId, schema: whole, description: 'number of a connection' };
const actionHeader: Schema = {
  name: 'X-ThrustMQ-Request',
  in: 'header',
  required: false,
  schema: { const: '1' },
  description: 'needed for a change unless a bearer token is given',
};

function answers(schema: string): Schema {
  return { description: 'done', content: { 'application/json': { schema: ref(schema) } } };
}

function operation(summary: string, schema: string, parameters: Schema[] = []): Schema {
  const content = { 'application/problem+json': { schema: ref('Problem') } };
  return {
    summary,
    parameters,
    responses: { 200: answers(schema), default: { description: 'a problem', content } },
  };
}

const change = (summary: string, schema: string, id: Schema): Schema =>
  operation(summary, schema, [id, actionHeader]);
const purge = change('settle every message that waits now', 'Purge', bucketId);
(purge.responses as Record<number, Schema>)[202] = answers('Purge');

const into: Schema = {
  name: 'into',
  in: 'query',
  required: true,
  schema: text,
  description: "absolute path of a folder on the broker's host: empty, or not there",
};
const beginBackup = operation(
  'copy the log beside the traffic; ask again for how far it is',
  'Backup',
  [into, actionHeader],
);
beginBackup.responses = {
  202: answers('Backup'),
  default: (beginBackup.responses as Record<string, Schema>).default,
};

const LIVE = `WebSocket /api/v1/live pushes the overview twice a second at most, as text frames of
JSON: {"type":"overview","data":Overview}. A client may send {"subscribe":{"bucket":"42"}} and
{"subscribe":{"buckets":{"sort":"backlog","limit":20,"prefix":"4"}}}, or both members in one
message; each message replaces the one before it. It then gets {"type":"bucket","data":BucketInfo}
and {"type":"buckets","data":BucketPage}, too, or {"type":"problem","data":Problem} in their place.
A client that does not read is skipped, and closed with 1013 when that lasts. With a token set, a
client that cannot send headers offers the protocols "thrustmq" and "bearer.TOKEN".`;

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'ThrustMQ admin API',
    version: '1',
    description: LIVE.replaceAll('\n', ' '),
  },
  // Relative to this document: a proxy may serve the dashboard below a path of its choice.
  servers: [{ url: '../..', description: 'where the page is' }],
  security: [{}, { bearer: [] }],
  paths: {
    '/api/v1/overview': { get: operation('the broker in numbers', 'Overview') },
    '/api/v1/config': { get: operation('settings in effect', 'Config') },
    '/api/v1/history': {
      get: operation('the last minutes, second by second', 'History', [
        query('seconds', { ...whole, minimum: 1, maximum: SECONDS_MAX, default: 300 }, 'how far'),
      ]),
    },
    '/api/v1/openapi.json': { get: operation('this document', 'Config') },
    '/api/v1/buckets': {
      get: operation('buckets in an order', 'BucketPage', [
        query('sort', { enum: BUCKET_SORTS, default: 'backlog' }, 'largest first; id: smallest'),
        limitTo(ROWS_MAX, 100),
        after,
        query('prefix', { type: 'string', pattern: '^\\d{1,20}$' }, 'first digits of the id'),
      ]),
    },
    '/api/v1/buckets/{id}': { get: operation('one bucket', 'BucketInfo', [bucketId]) },
    '/api/v1/buckets/{id}/messages': {
      get: operation('the next messages, without taking them', 'Messages', [
        bucketId,
        limitTo(PEEK_MAX, 10),
        query(
          'bytes',
          { ...whole, minimum: 1, maximum: PEEK_BYTES_MAX, default: 4096 },
          'bytes of each message at most',
        ),
      ]),
    },
    '/api/v1/buckets/{id}/purge': { post: purge },
    '/api/v1/buckets/{id}/pause': {
      post: change('stop deliveries; publishes go on; survives a restart', 'Paused', bucketId),
    },
    '/api/v1/buckets/{id}/resume': { post: change('let deliveries go on', 'Paused', bucketId) },
    '/api/v1/connections': {
      get: operation('producers and consumers', 'Connections', [limitTo(ROWS_MAX, 100), after]),
    },
    '/api/v1/connections/{id}': { delete: change('close a connection', 'Closed', connectionId) },
    '/api/v1/backup': { get: operation('how the last backup goes or went', 'Backup') },
    '/api/v1/backup/begin': { post: beginBackup },
    '/api/v1/backup/cancel': {
      post: operation('give up the backup that is running', 'Backup', [actionHeader]),
    },
    '/api/v1/segments': {
      get: operation('files of the log', 'Segments', [limitTo(ROWS_MAX, 100), after]),
    },
  },
  components: {
    schemas: SCHEMAS,
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
  },
};
