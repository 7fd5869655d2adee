// What is said of dead messages and of giving them back, and what a form for that asks the API for.
// Pure.

import type { MovedMessage, Reason, RedriveState } from '../contract/dead-messages.ts';
import { REASONS } from '../contract/dead-messages.ts';
import { ago, count, duration, plural } from './format.ts';

/** What a form for giving back says: text of its fields; empty ones bound nothing. */
export interface RedriveForm {
  to: string;
  limit: string;
  rate: string;
}

export type FormProblems = Partial<Record<keyof RedriveForm, string>>;

const ID_MAX = 2n ** 64n - 1n;
const LIMIT_MAX = 999_999_999;
const RATE_MAX = 1_000_000;

/** What is wrong with the fields; nothing: the form may be sent. */
export function problemsOf({ to, limit, rate }: RedriveForm): FormProblems {
  const problems: FormProblems = {};
  const [id, most, pace] = [to.trim(), limit.trim(), rate.trim()];
  if (id !== '' && !(/^(0|[1-9]\d{0,19})$/.test(id) && BigInt(id) <= ID_MAX))
    problems.to = `A bucket is a number from 0 to ${ID_MAX}.`;
  if (most !== '' && !(/^\d{1,9}$/.test(most) && Number(most) >= 1))
    problems.limit = `Give a whole number from 1 to ${count(LIMIT_MAX)}.`;
  const isPace = /^\d{1,7}(\.\d{1,3})?$/.test(pace) && Number(pace) > 0;
  if (pace !== '' && !(isPace && Number(pace) <= RATE_MAX))
    problems.rate = `Give messages a second up to ${count(RATE_MAX)}, as in 100 or 0.5.`;
  return problems;
}

/** The query of a form that has no problems. */
export function redriveQuery(form: RedriveForm): string {
  const query = new URLSearchParams();
  for (const name of ['to', 'limit', 'rate'] as const)
    if (form[name].trim() !== '') query.set(name, form[name].trim());
  return `${query}`;
}

/** How many are given back by a form, of so many dead ones. */
export function manyOf({ limit }: RedriveForm, dead: number): number {
  return limit.trim() === '' ? dead : Math.min(dead, Number(limit));
}

/** What a form will do, in a sentence. */
export function redriveSentence(form: RedriveForm, dead: number): string {
  const many = manyOf(form, dead);
  const to = form.to.trim();
  const where = to === '' ? 'to the bucket in which each of them died' : `to bucket ${to}`;
  const rate = Number(form.rate);
  const pace =
    form.rate.trim() === ''
      ? 'as fast as it goes'
      : `${form.rate.trim()} a second, which takes about ${duration((many / rate) * 1000)}`;
  return `${plural(many, 'message')} of ${count(dead)} will be given back ${where}, ${pace}. Their attempts begin anew.`;
}

/** How giving back goes, or went. */
export function redriveWords({ moved, done, stopped }: RedriveState): string {
  const so = `${plural(moved, 'message')} given back`;
  if (!done) return `${so} so far`;
  if (stopped === 'full')
    return `${so}; the bucket that they go to takes no more. The others stay dead: make room there (max_messages, max_bytes), or give them to another bucket`;
  if (stopped === 'cancelled') return `${so}, then it was ended; the others stay dead`;
  return stopped === 'limit' ? `${so}, as many as were asked for` : `${so}, all that there were`;
}

/** The meaning of a reason; of one that is not known, none. */
export function meaningOf(reason: string): string | undefined {
  return Object.hasOwn(REASONS, reason) ? REASONS[reason as Reason] : undefined;
}

/** Counts by reason, the most frequent first: `rejected 3, expired 1`. */
export function reasonsText(reasons: Readonly<Record<string, number>>): string {
  return sortedReasons(reasons)
    .map(([reason, many]) => `${reason} ${count(many)}`)
    .join(', ');
}

export function sortedReasons(reasons: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(reasons).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

// What happened to a message that was moved for another reason than its death.
const VERBS: Record<string, string> = {
  redriven: 'given back',
  copied: 'copied',
  replaced: 'replaced',
} satisfies Partial<Record<Reason, string>>;

/** Where a message was before, and when. */
export function movedWords(moved: MovedMessage, nowMs: number): string {
  const { bucket, line, sequence, attempts, publishedAt, movedAt } = moved;
  const when = (text: string | null) =>
    text === null ? undefined : ago(Math.max(0, nowMs - Date.parse(text)));
  const of = line === 'dead' ? `the dead of bucket ${bucket}` : `bucket ${bucket}`;
  const published = when(publishedAt);
  const left = when(movedAt);
  return [
    `#${sequence} of ${of} before`,
    `${plural(attempts, 'attempt')} there`,
    ...(published === undefined ? [] : [`published ${published}`]),
    ...(left === undefined ? [] : [`${VERBS[moved.reason] ?? 'died'} ${left}`]),
  ].join(', ');
}
