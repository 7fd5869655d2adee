// What queries of the admin API may say, and the commands of those that several routes have.

import {
  BUCKET_SORTS,
  type Command,
  PEEK_BYTES_MAX,
  PEEK_MAX,
  ROWS_MAX,
} from '../contract/commands.ts';

/** Rows that are given to who does not say how many. */
export const LIMIT_USUAL = 100;
const PEEK_USUAL = 10;
const PEEK_BYTES_USUAL = 4096;

/** A query that does not fit; the message says which part. */
export class QueryError extends Error {}

/** A whole number from 1 to `most`. @throws QueryError */
export function wholeFrom(
  query: URLSearchParams,
  name: string,
  usual: number,
  most: number,
): number {
  const text = query.get(name);
  if (text === null) return usual;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= most) return value;
  throw new QueryError(`${name} is a whole number from 1 to ${most}, not "${shown(text)}"`);
}

/** As much of a text as is repeated. */
export function shown(text: string): string {
  return text.slice(0, 40);
}

/** Reads the query of a bucket list. @throws QueryError */
export function bucketsCommand(query: URLSearchParams): Command & { kind: 'buckets' } {
  const sort = query.get('sort') ?? 'backlog';
  const known = BUCKET_SORTS.find((each) => each === sort);
  if (known === undefined)
    throw new QueryError(`sort is one of ${BUCKET_SORTS.join(', ')}, not "${shown(sort)}"`);
  return {
    kind: 'buckets',
    sort: known,
    limit: wholeFrom(query, 'limit', LIMIT_USUAL, ROWS_MAX),
    cursor: query.get('cursor') ?? undefined,
    prefix: query.get('prefix') ?? undefined,
  };
}

/** The command of a query for the next messages of a line. @throws QueryError */
export function peekCommand(id: string, query: URLSearchParams): Command & { kind: 'peek' } {
  const limit = wholeFrom(query, 'limit', PEEK_USUAL, PEEK_MAX);
  const bytes = wholeFrom(query, 'bytes', PEEK_BYTES_USUAL, PEEK_BYTES_MAX);
  const after = query.get('after') ?? undefined;
  if (after !== undefined && !/^\d{1,15}$/.test(after))
    throw new QueryError(`after is the sequence of a message, not "${shown(after)}"`);
  return { kind: 'peek', id, limit, bytes, after };
}
