// Shapes of what the admin API answers about clusters, for its OpenAPI document.

import { NODE_STATES } from '../contract/cluster.ts';
import {
  big,
  flag,
  listOf,
  number,
  object,
  orNull,
  ref,
  type Schema,
  text,
  time,
  whole,
} from './openapi-schemas.ts';

const NODE: Record<string, Schema> = {
  node: { ...whole, description: 'its number' },
  address: { ...text, description: 'where other nodes reach it' },
  dashboard: { ...orNull(text), description: 'HOST:PORT; null: it has none' },
  version: text,
  startedAt: time,
  state: {
    enum: [...NODE_STATES],
    description: 'owning, doubting, suspended, resigning: it has the broker',
  },
  epoch: { ...whole, description: 'of the owner that it knows of; 0: none yet' },
  position: { ...big, description: 'in the log, behind the last batch on its disk' },
  sequence: { ...whole, description: 'in the stream, of the last message it has heard' },
  lag: { ...whole, description: 'messages of the stream that are not on its disk' },
  lagMs: {
    ...number,
    description: 'how long ago the oldest of them was seen in the stream, in ms',
  },
  blocked: { ...orNull(text), description: 'why it could not own the log now' },
  building: {
    anyOf: [object({ bytes: whole, bytesTotal: whole }), { type: 'null' }],
    description: 'how far it is, while it builds itself from the other nodes',
  },
};

const STREAM = object({
  name: text,
  connected: flag,
  leader: { ...orNull(text), description: 'server of NATS that leads it' },
  first: whole,
  last: whole,
  bytes: whole,
  maxBytes: whole,
  blocked: { ...orNull(text), description: 'why messages find no room in it' },
});

const COUNTS = object({
  takeOvers: whole,
  deposed: { ...whole, description: 'times that another node took over from it' },
  doubts: { ...whole, description: 'times that it did not know whether an append was stored' },
  suspensions: { ...whole, description: 'times that it owned, and delivered nothing' },
  voids: { ...whole, description: 'messages of the stream that do not count' },
  rebuilds: { ...whole, description: 'times that it built itself from the other nodes' },
  baseBytes: { ...whole, description: 'bytes put into base objects' },
});

export const CLUSTER_SCHEMAS: Record<string, Schema> = {
  ClusterNode: object(NODE),
  Cluster: {
    ...object({
      name: text,
      self: ref('ClusterNode'),
      owner: {
        anyOf: [object({ node: whole, address: text, dashboard: orNull(text) }), { type: 'null' }],
      },
      nodes: listOf(
        object({ ...NODE, seenMs: { ...number, description: 'since it was heard of' } }),
      ),
      ack: object({
        safe: { ...flag, description: 'false: an ack means less than it should' },
        means: { ...text, description: 'where what is acked is' },
        warnings: listOf(text),
      }),
      stream: STREAM,
      counts: COUNTS,
      takeOvers: {
        ...listOf(
          object({
            at: time,
            node: whole,
            epoch: whole,
            why: { enum: ['silence', 'resigned', 'first'] },
          }),
        ),
        description: 'newest first',
      },
      appends: {
        anyOf: [
          object({
            count: whole,
            sum: number,
            mean: number,
            p50: number,
            p99: number,
            max: number,
            upTo: {
              ...listOf(whole),
              description: 'as many as took no longer than 2^-6, 2^-5 … ms',
            },
          }),
          { type: 'null' },
        ],
        description: 'ms until the stream confirmed them; null: it does not own',
      },
      passedOn: object({ clients: whole, bytes: whole }),
      resources: object({
        rssBytes: whole,
        heapBytes: whole,
        budgetBytes: whole,
        logBytes: whole,
        diskFreeBytes: orNull(whole),
      }),
    }),
    description:
      'as `self` sees it, the node that answers; the others as the owner last told of them',
  },
  StepDown: object({
    of: { enum: ['owner', 'leader'] },
    from: { ...orNull(text), description: 'the node, or the server of NATS, that gives up' },
  }),
};
