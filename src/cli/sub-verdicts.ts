// What `sub --exec` says of a message when its command has ended: the words of --on-fail and --exit,
// and which exit code means which of them. Text and numbers in, verdicts out: runs nothing.

import { InvalidArgumentError } from 'commander';
import type { Message } from '../client/index.ts';
import { RETRY_MS_MAX } from '../codec/retry-bytes.ts';
import { parseDuration } from '../core/text/units.ts';

/** What becomes of a message. */
export interface Verdict {
  /** What became of it, for people. */
  readonly word: 'done' | 'failed' | 'rejected' | 'released' | 'retried';
  decide(message: Message): void;
}

export const DONE: Verdict = { word: 'done', decide: (message) => message.ack() };
export const FAILED: Verdict = { word: 'failed', decide: (message) => message.fail() };
export const RELEASED: Verdict = { word: 'released', decide: (message) => message.release() };
const REJECTED: Verdict = { word: 'rejected', decide: (message) => message.reject() };

const PLAIN: Record<string, Verdict> = {
  done: DONE,
  fail: FAILED,
  reject: REJECTED,
  release: RELEASED,
};

const WORDS = 'done, fail, reject, release, release:TIME or retry:TIME';

/** Exit codes that mean something by themselves, after sysexits.h and the shell. */
const USUAL: readonly [code: number, verdict: string][] = [
  [65, 'reject'], // EX_DATAERR: the message is wrong, and will be
  [75, 'release:1s'], // EX_TEMPFAIL: what it needs is away
  [130, 'release:1s'], // SIGINT, SIGTERM: somebody ended it
  [143, 'release:1s'],
];

/** What shells end with when there is no such command, or it cannot be executed. */
const NOT_RUN: readonly number[] = [126, 127];

/** `done`, `fail`, `reject`, `release`, `release:TIME`, `retry:TIME`. Throws for commander. */
export function parseVerdict(text: string): Verdict {
  const plain = Object.hasOwn(PLAIN, text) ? PLAIN[text] : undefined;
  if (plain !== undefined) return plain;
  const [, word, time] = /^(release|retry):(.+)$/.exec(text) ?? [];
  if (time === undefined) throw new InvalidArgumentError(`"${text}" is not ${WORDS}.`);
  const ms = delayMs(time);
  if (word === 'retry') return { word: 'retried', decide: (message) => message.retry(ms) };
  return { word: 'released', decide: (message) => message.retry(ms, { charge: false }) };
}

function delayMs(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms > RETRY_MS_MAX) throw new RangeError(`"${text}" is more than 2^31 ms, 24.8 days`);
    return ms;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** Commander: what is said when no code says something else. */
export function onFail(text: string): Verdict {
  if (text === 'done') throw new InvalidArgumentError('What failed is not done.');
  return parseVerdict(text);
}

/** Commander: `65=reject,75=retry:30s`, also several times. */
export function exitCodes(
  text: string,
  before: ReadonlyMap<number, Verdict> = new Map(),
): ReadonlyMap<number, Verdict> {
  const codes = new Map(before);
  for (const one of text.split(',')) {
    const [, digits = '', verdict = ''] = /^\s*(\d{1,3})=(\S+)\s*$/.exec(one) ?? [];
    const code = Number(digits);
    if (code < 1 || code > 255)
      throw new InvalidArgumentError(`"${one}" is not like 65=reject, with a code from 1 to 255.`);
    codes.set(code, parseVerdict(verdict));
  }
  return codes;
}

/** Which exit code means what. */
export class Verdicts {
  readonly #codes: Map<number, Verdict>;
  readonly #otherwise: Verdict;

  constructor(otherwise: Verdict = FAILED, own: ReadonlyMap<number, Verdict> = new Map()) {
    const usual = USUAL.map(([code, verdict]) => [code, parseVerdict(verdict)] as const);
    this.#codes = new Map([[0, DONE], ...usual, ...own]);
    this.#otherwise = otherwise;
  }

  /** undefined: the command was not run, which says nothing of any message. */
  of(code: number): Verdict | undefined {
    return this.#codes.get(code) ?? (NOT_RUN.includes(code) ? undefined : this.#otherwise);
  }
}
