// The one error type of the client. Its code is for programs, its message says to people what
// happened, to what, and what to do. Codes are append-only.

/**
 * - `CLOSED`: the producer or consumer had been closed; what was asked did not happen.
 * - `ABORTED`: an AbortSignal fired. A message that was on the wire may be stored all the same.
 * - `TIMEOUT`: no answer within the stated time.
 * - `REFUSED`: the broker answered 0, the message is not stored. One byte cannot say why.
 * - `UNKNOWN_OUTCOME`: the connection ended between message and ack; it may be stored or not.
 * - `CONNECTION`: the broker could not be reached, or the connection ended.
 * - `PROTOCOL`: the other side does not speak this protocol, or not this dialect.
 * - `USAGE`: a wrong argument or a call that makes no sense; nothing was sent.
 */
export type ThrustErrorCode =
  | 'CLOSED'
  | 'ABORTED'
  | 'TIMEOUT'
  | 'REFUSED'
  | 'UNKNOWN_OUTCOME'
  | 'CONNECTION'
  | 'PROTOCOL'
  | 'USAGE';

const RETRYABLE: ReadonlySet<ThrustErrorCode> = new Set([
  'TIMEOUT',
  'REFUSED',
  'UNKNOWN_OUTCOME',
  'CONNECTION',
]);

export interface ThrustErrorDetails {
  readonly cause?: unknown;
  readonly results?: readonly (boolean | undefined)[] | undefined;
}

export class ThrustError extends Error {
  override readonly name = 'ThrustError';
  readonly code: ThrustErrorCode;
  /** Whether the same call can succeed later. After UNKNOWN_OUTCOME it may store a duplicate. */
  readonly retryable: boolean;
  /**
   * When a batch of several messages ended early, what is known of each: true = stored,
   * false = refused, undefined = unknown or never sent.
   */
  readonly results: readonly (boolean | undefined)[] | undefined;

  constructor(code: ThrustErrorCode, message: string, details: ThrustErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.results = details.results;
  }
}

/** Runs `parse`, turning what it throws into a USAGE error with the same message. */
export function usage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw usageError(cause);
  }
}

export function usageError(cause: unknown): ThrustError {
  if (cause instanceof ThrustError) return cause;
  return new ThrustError('USAGE', cause instanceof Error ? cause.message : String(cause), {
    cause,
  });
}

/** What a fired signal becomes. */
export function abortError(signal: AbortSignal, what: string): ThrustError {
  return new ThrustError('ABORTED', `${what} was aborted`, { cause: signal.reason });
}
