// What can be wrong with a log on disk, as one typed error whose text an operator can act on.

/**
 * - `damaged`: bytes that were acked are not what was written; nothing was changed
 * - `missing`: a range of the log is not there
 * - `version`: written by another format version
 * - `io`: the system refused a read or a write
 * - `other`: a log that is whole, but not the one that was asked for, or not as that is laid out
 * - `lost`: what is written cannot be found again: a folder or file is gone, or is another one
 */
export type LogErrorCode = 'damaged' | 'missing' | 'version' | 'io' | 'other' | 'lost';

/** What to do about what no copy brings back; the folders are for the reader to fill in. */
export const HOW_TO_REPAIR =
  'to save what can still be read, run: thrustmq log repair --data-dir DIR --into NEWDIR';

/** Why a log may be no whole one although nothing happened to it. */
export const COPIED =
  'If this folder was copied file by file while its broker ran, files went or changed meanwhile: copy it again with thrustmq backup, which does it beside the traffic';

export class LogError extends Error {
  override name = 'LogError';
  readonly code: LogErrorCode;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why nothing is begun any more. */
export function closedError(): Error {
  return new Error('the log is being closed');
}
