// Whether a folder holds a copy of the log that it is to be one of, laid out as all copies are: a
// position has to mean the same place in each of them.

import { LogError } from '../files/errors.ts';
import type { LogOptions } from './log-options.ts';
import type { Inventory } from './recovery.ts';

/** What all copies of a log must have in common, as each of them tells the others. */
export interface CopyLayout {
  logId: bigint;
  /** Size of a segment in bytes. */
  segmentBytes: number;
  /** Records of messages after which a segment is complete, about. */
  segmentEntriesMax: number;
  /** Largest message in bytes. */
  messageBytesMax: number;
}

const NAMES: [keyof CopyLayout, string][] = [
  ['segmentBytes', 'the size of a segment (it follows from --memory)'],
  ['segmentEntriesMax', 'the number of records in a segment (it follows from --memory)'],
  ['messageBytesMax', '--max-message'],
];

/** Throws LogError `other` if a copy of `theirs` cannot be laid out as `own`. */
export function demandSameLayout(own: CopyLayout, theirs: CopyLayout): void {
  if (own.logId !== theirs.logId) throw new LogError('other', otherLog(own.logId, theirs.logId));
  const odd = NAMES.filter(([name]) => own[name] !== theirs[name]);
  if (odd.length === 0) return;
  const list = odd.map(([name, text]) => `${text} is ${own[name]} here and ${theirs[name]} there`);
  throw new LogError(
    'other',
    `it cannot follow a log of another layout: ${list.join('; ')}. Set all nodes alike`,
  );
}

/**
 * Throws LogError `other` if the folder holds another log than the one that is asked for, or goes on
 * in a segment of another size.
 */
export function demandCopy(
  { newLogId, segmentBytes, mode }: LogOptions,
  { segments }: Pick<Inventory, 'segments'>,
): void {
  if (mode !== 'commit')
    throw new LogError('other', `a copy has to be synced with each commit, not as --sync ${mode}`);
  const header = segments.at(-1)?.header;
  if (header === undefined) return; // it is begun as is wanted
  if (header.logId !== newLogId) throw new LogError('other', otherLog(header.logId, newLogId));
  const odd = segments.find((each) => each.header.end === undefined && each.bytes !== segmentBytes);
  if (odd !== undefined)
    throw new LogError(
      'other',
      `${odd.name} has ${odd.bytes} bytes, but segments of this log have ${segmentBytes}: the size follows from --memory. Set all nodes alike`,
    );
}

function otherLog(own: bigint, asked: bigint): string {
  const [here, there] = [own, asked].map((id) => id.toString(16).padStart(16, '0'));
  return `this folder holds the log ${here}, not ${there}. Nothing was changed: choose another data folder`;
}
