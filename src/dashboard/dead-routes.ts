// What the admin API has for dead messages: which buckets have some, why they died, a look at them,
// giving them back, and throwing them away.

import type { Command } from '../contract/commands.ts';
import { REASONS_MAX } from '../contract/dead-messages.ts';
import { type ApiRoute, begun, type Call, replyTo } from './api-calls.ts';
import type { DashboardReply } from './http.ts';
import { bucketsCommand, peekCommand, QueryError, shown, wholeFrom } from './queries.ts';

const MESSAGES_MAX = 999_999_999;
const LINE = '/api/v1/buckets/{id}/dead';

export const DEAD_ROUTES: readonly ApiRoute[] = [
  { method: 'GET', path: '/api/v1/dead', handle: dead },
  { method: 'GET', path: LINE, handle: (call) => onDead(call, 'bucket') },
  { method: 'GET', path: `${LINE}/messages`, handle: deadMessages },
  {
    method: 'POST',
    path: `${LINE}/purge`,
    handle: (call) => onDead(call, 'purge'),
  },
  { method: 'GET', path: `${LINE}/reasons`, handle: reasons },
  { method: 'POST', path: `${LINE}/redrive`, handle: redrive },
  { method: 'POST', path: `${LINE}/redrive/cancel`, handle: cancelRedrive },
];

async function dead({ run, query }: Call): Promise<DashboardReply> {
  return replyTo(await run({ ...bucketsCommand(query), line: 'dead' }));
}

async function deadMessages({ run, params, query }: Call): Promise<DashboardReply> {
  return replyTo(await run({ ...peekCommand(params.id!, query), line: 'dead' }));
}

async function onDead({ run, params }: Call, kind: 'bucket' | 'purge'): Promise<DashboardReply> {
  return begun(await run({ kind, id: params.id!, line: 'dead' }), kind);
}

async function redrive({ run, params, query }: Call): Promise<DashboardReply> {
  return begun(await run(redriveCommand(params.id!, query)), 'redrive');
}

async function cancelRedrive({ run, params }: Call): Promise<DashboardReply> {
  return begun(await run({ kind: 'redrive-cancel', id: params.id! }), 'redrive');
}

async function reasons({ run, params, query }: Call): Promise<DashboardReply> {
  return replyTo(await run(reasonsCommand(params.id!, query)));
}

/** The command of a query for why messages died. @throws QueryError */
export function reasonsCommand(id: string, query: URLSearchParams): Command {
  return { kind: 'dead-reasons', id, limit: wholeFrom(query, 'limit', REASONS_MAX, REASONS_MAX) };
}

/** The command that gives dead messages back. @throws QueryError */
export function redriveCommand(id: string, query: URLSearchParams): Command {
  const limit = query.has('limit') ? wholeFrom(query, 'limit', 1, MESSAGES_MAX) : undefined;
  return { kind: 'redrive', id, to: query.get('to') ?? undefined, limit, rate: rateFrom(query) };
}

function rateFrom(query: URLSearchParams): number | undefined {
  const text = query.get('rate');
  if (text === null) return undefined;
  if (/^\d{1,7}(\.\d{1,3})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new QueryError(`rate is a number of messages a second, not "${shown(text)}"`);
}
