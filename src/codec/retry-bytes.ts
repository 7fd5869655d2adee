// The bytes with which a consumer asks for a delay: 2^e ms, charged as an attempt or not. Bytes in,
// values out, as in wire.ts; what each byte means stands in assembly/layout.ts.

import { ACK_RETRY, ACK_RETRY_EXPONENT_MAX, ACK_RETRY_FREE } from '../../assembly/layout.ts';

/** Longest delay that one byte can say, in ms: 24.8 days. */
export const RETRY_MS_MAX = 2 ** ACK_RETRY_EXPONENT_MAX;

/**
 * The ack byte for "ready again after `ms`", rounded up to a power of two, 1 ms at least. RangeError
 * for what is not a number from 0 to RETRY_MS_MAX: shorter than asked for is never said.
 */
export function retryByte(ms: number, charged: boolean): number {
  if (!(ms >= 0 && ms <= RETRY_MS_MAX))
    throw new RangeError(`a delay is 0 to ${RETRY_MS_MAX} ms (24.8 days), not ${ms}`);
  let exponent = 0;
  while (2 ** exponent < ms) exponent += 1;
  return (charged ? ACK_RETRY : ACK_RETRY_FREE) + exponent;
}

/** The delay in ms that an ack byte asks for; undefined when it asks for none. */
export function retryMs(byte: number): number | undefined {
  if (byte < ACK_RETRY || byte > ACK_RETRY_FREE + ACK_RETRY_EXPONENT_MAX) return undefined;
  return 2 ** (byte - (byte < ACK_RETRY_FREE ? ACK_RETRY : ACK_RETRY_FREE));
}
