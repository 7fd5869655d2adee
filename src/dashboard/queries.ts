// What queries of the admin API may say.

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
