// The admin API as an OpenAPI document, served at /api/v1/openapi.json. test/dashboard/api.test.ts
// holds it against the routes and against real answers.

import { BUCKET_SORTS, PEEK_BYTES_MAX, PEEK_MAX, ROWS_MAX } from '../contract/commands.ts';
import { REASONS_MAX } from '../contract/dead-messages.ts';
import { SECONDS_MAX } from './history.ts';
import { CLUSTER_SCHEMAS } from './openapi-cluster.ts';
import { big, number, ref, SCHEMAS, type Schema, text, whole } from './openapi-schemas.ts';

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
const ruleName: Schema = { ...bucketId, name: 'name', schema: text, description: 'of a rule' };
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

const purgeDead = change('settle every dead message of a bucket', 'Purge', bucketId);
(purgeDead.responses as Record<number, Schema>)[202] = answers('Purge');
const redrive = operation('give the dead messages of a bucket back', 'Redrive', [
  bucketId,
  query('to', big, 'bucket that they go to; without it the one that they died in'),
  query('limit', { ...whole, minimum: 1, maximum: 999_999_999 }, 'messages at most'),
  query('rate', number, 'messages a second'),
  actionHeader,
]);
(redrive.responses as Record<number, Schema>)[202] = answers('Redrive');
const cancelRedrive = change('give no more of them back', 'Redrive', bucketId);
(cancelRedrive.responses as Record<number, Schema>)[202] = answers('Redrive');

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

const header = (name: string, description: string): Schema => ({
  ...actionHeader,
  name,
  schema: text,
  description,
});
const RULE_ORDER = [
  query('preview', { enum: ['0', '1'], default: '0' }, '1: only say what would change'),
  header('If-Match', 'the ETag that the rule must have, or *'),
  header('If-None-Match', '*: there must be no such rule'),
  actionHeader,
];

function ruleOrder(summary: string, schema: string, parameters: Schema[]): Schema {
  const order = operation(summary, schema, [ruleName, ...parameters, ...RULE_ORDER]);
  const either = { anyOf: [ref(schema), ref('RulePreview')] };
  (order.responses as Record<number, Schema>)[200] = {
    description: 'done; with preview=1 what would change',
    content: { 'application/json': { schema: either } },
  };
  return order;
}

// Answered by nodes of a cluster only.
function ofCluster(summary: string, status: number, schema: string, parameters: Schema[]): Schema {
  const made = operation(summary, schema, parameters);
  const { 200: done, default: otherwise } = made.responses as Record<string, Schema>;
  const none = { ...otherwise, description: 'this broker is no node of a cluster' };
  made.responses = { [status]: done, 404: none, default: otherwise };
  return made;
}

const LIVE = `WebSocket /api/v1/live pushes the overview twice a second at most, as text frames of
JSON: {"type":"overview","data":Overview}. A client may send {"subscribe":{"bucket":"42"}} and
{"subscribe":{"buckets":{"sort":"backlog","limit":20,"prefix":"4"}}}, or both members in one
message; each message replaces the one before it. It then gets {"type":"bucket","data":BucketInfo}
and {"type":"buckets","data":BucketPage}, too, or {"type":"problem","data":Problem} in their place.
On a node of a cluster each push begins with {"type":"cluster","data":Cluster}, of that node, with
"serves" and "readOnly"; the overview comes only while it owns the log. A client that does not read
is skipped, and closed with 1013 when that lasts. With a token set, a client that cannot send
headers offers the protocols "thrustmq" and "bearer.TOKEN".`;

const LISTED = [
  query('sort', { enum: BUCKET_SORTS, default: 'backlog' }, 'largest first; id: smallest'),
  limitTo(ROWS_MAX, 100),
  after,
  query('prefix', { type: 'string', pattern: '^\\d{1,20}$' }, 'first digits of the id'),
];
const PEEKED = [
  bucketId,
  limitTo(PEEK_MAX, 10),
  query(
    'bytes',
    { ...whole, minimum: 1, maximum: PEEK_BYTES_MAX, default: 4096 },
    'bytes of each message at most',
  ),
  query(
    'after',
    { type: 'string', pattern: '^\\d{1,15}$' },
    'sequence of the last message of the answer before: begins behind it',
  ),
];

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
      get: operation('buckets in an order', 'BucketPage', LISTED),
    },
    '/api/v1/buckets/{id}': { get: operation('one bucket', 'BucketInfo', [bucketId]) },
    '/api/v1/buckets/{id}/messages': {
      get: operation('the next messages, without taking them', 'Messages', PEEKED),
    },
    '/api/v1/buckets/{id}/purge': { post: purge },
    '/api/v1/buckets/{id}/pause': {
      post: change('stop deliveries; publishes go on; survives a restart', 'Paused', bucketId),
    },
    '/api/v1/buckets/{id}/resume': { post: change('let deliveries go on', 'Paused', bucketId) },
    '/api/v1/dead': { get: operation('buckets by what is dead of them', 'BucketPage', LISTED) },
    '/api/v1/buckets/{id}/dead': {
      get: operation('what is dead of a bucket', 'BucketInfo', [bucketId]),
    },
    '/api/v1/buckets/{id}/dead/messages': {
      get: operation('the next dead messages, without taking them', 'Messages', PEEKED),
    },
    '/api/v1/buckets/{id}/dead/reasons': {
      get: operation('why the first dead messages died', 'DeadReasons', [
        bucketId,
        query(
          'limit',
          { ...whole, minimum: 1, maximum: REASONS_MAX, default: REASONS_MAX },
          'messages looked at, at most',
        ),
      ]),
    },
    '/api/v1/buckets/{id}/dead/purge': { post: purgeDead },
    '/api/v1/buckets/{id}/dead/redrive': { post: redrive },
    '/api/v1/buckets/{id}/dead/redrive/cancel': { post: cancelRedrive },
    '/api/v1/buckets/{id}/rule': {
      get: operation('what is in force for a bucket, and why', 'BucketRule', [bucketId]),
    },
    '/api/v1/rules': {
      get: operation('rules by name', 'RulePage', [limitTo(ROWS_MAX, 100), after]),
    },
    '/api/v1/rule-keys': { get: operation('what rules can set', 'RuleKeys') },
    '/api/v1/rules/{name}': {
      get: operation('one rule; the ETag is its version', 'Rule', [ruleName]),
      put: ruleOrder('set a rule, or replace it; its keys stand in the query', 'Rule', [
        query('match', text, 'an id, a range, value/mask, or *'),
      ]),
      delete: ruleOrder('remove a rule', 'RuleRemoved', []),
    },
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
    '/api/v1/cluster': {
      get: ofCluster('the cluster as this node sees it', 200, 'Cluster', []),
    },
    '/api/v1/cluster/step-down': {
      post: ofCluster('let another node own the log; ask again for who does', 202, 'StepDown', [
        query('leader', { enum: ['0', '1'], default: '0' }, '1: another server lead the stream'),
        actionHeader,
      ]),
    },
  },
  components: {
    schemas: { ...SCHEMAS, ...CLUSTER_SCHEMAS },
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
  },
};
