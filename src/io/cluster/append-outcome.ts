// What became of an append, told by how its request failed. A failure that is not known for sure to
// have stored nothing leaves it in doubt: whoever appended reads back.

import type { Appended } from '../../core/ports/stream.ts';
import { codeOf } from './nats.ts';

/** It may be stored, now or later, or never. */
export const UNKNOWN: Appended = { ok: false, why: 'unknown' };
const EXPECTED: Appended = { ok: false, why: 'expected' };
const FULL: Appended = { ok: false, why: 'full' };

/** Another number is the last; since 2.12 also said without the number. */
const WRONG_LAST = [10_071, 10_164];
/** The bytes of the stream, the disk of its servers, or what the account may store are used up. */
const NO_ROOM = [10_023, 10_047, 10_002];
/** The store failed; that its bound is reached is one of the causes. */
const STORE_FAILED = 10_077;
const AT_BOUND = /maximum (bytes|messages) exceeded|no space|insufficient/i;
/** Not answered by a leader, or one that is being replaced. */
const PASSING = [10_008, 10_009, 10_003, 10_013, 10_074];

const FORBIDDEN = ['PermissionViolationError', 'AuthorizationError'];

/** Whether rights are wanting: those of a user are taken away and given back as servers run. */
export function isForbidden({ name, cause }: Error): boolean {
  return FORBIDDEN.includes(name) || (cause instanceof Error && isForbidden(cause));
}

/** Names, and gives reasons for, what a failed append means; `error` is what the client threw. */
export function outcomeOf(error: Error): Appended {
  const code = codeOf(error);
  if (isForbidden(error)) return { ok: false, why: 'forbidden', text: error.message };
  if (error.name === 'InvalidArgumentError')
    return { ok: false, why: 'refused', text: `an append is not let through: ${error.message}` };
  if (code === undefined) return UNKNOWN;
  if (WRONG_LAST.includes(code)) return EXPECTED;
  if (NO_ROOM.includes(code)) return FULL;
  if (code === STORE_FAILED) return AT_BOUND.test(error.message) ? FULL : UNKNOWN;
  if (PASSING.includes(code)) return UNKNOWN;
  return { ok: false, why: 'refused', text: `an append is refused (${code}): ${error.message}` };
}
