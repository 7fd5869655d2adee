// What the admin API has for dead messages: commands of a bucket's dead line, from paths and queries.

import { type Command, PEEK_BYTES_MAX, PEEK_MAX } from '../contract/commands.ts';
import { QueryError, shown, wholeFrom } from './queries.ts';

const PEEK_USUAL = 10;
const PEEK_BYTES_USUAL = 4096;
const MESSAGES_MAX = 999_999_999;

/** The command of a query for the next messages of a line. @throws QueryError */
export function peekCommand(id: string, query: URLSearchParams): Command & { kind: 'peek' } {
  const limit = wholeFrom(query, 'limit', PEEK_USUAL, PEEK_MAX);
  const bytes = wholeFrom(query, 'bytes', PEEK_BYTES_USUAL, PEEK_BYTES_MAX);
  return { kind: 'peek', id, limit, bytes };
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
