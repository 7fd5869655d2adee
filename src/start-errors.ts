// Why a broker cannot begin, as a sentence for its operator and an exit code.

import { RuleError } from './core/rules/rule-error.ts';
import { StartError } from './data-folder.ts';
import { isOutOfDescriptors, tooFewForLog } from './io/descriptors.ts';
import { PausedFileError } from './io/paused-file.ts';
import { StateFileError } from './io/state-file.ts';
import { LogError } from './log/files/errors.ts';

/**
 * What opening a broker threw, as it leaves the process; a bug stays what it is. `files`: how many
 * the log has.
 */
export function startErrorOf(error: unknown, dataDir: string, files: number): unknown {
  const { message, cause, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof PausedFileError || error instanceof StateFileError)
    return new StartError(74, message, { cause: error });
  if (error instanceof RuleError) return new StartError(78, message, { cause: error });
  if (isOutOfDescriptors(error) || isOutOfDescriptors(cause))
    return new StartError(78, tooFewForLog(files), { cause: error });
  if (!(error instanceof LogError) && syscall === undefined) return error;
  const text = `the log in ${dataDir} cannot be used: ${message}`;
  const isOther = error instanceof LogError && error.code === 'other';
  return new StartError(isOther ? 78 : 74, text, { cause: error });
}
