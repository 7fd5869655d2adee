// What a start of the simulated broker may say of caches: they are never synced, and segments may
// have been compacted or given back since they were written.

/** `torn`: the disk has lost or changed something; `orderly`: the life before ended in order. */
export function isOfCache(kind: string, text: string, torn: boolean, orderly: boolean): boolean {
  if (text.startsWith('the checkpoint does not fit')) return !orderly;
  if (/^the index of .* is made again/.test(text)) return torn;
  // Their list may not say of a segment yet that it is another one, or name what has gone.
  if (/ids\S* is made again from the log/.test(text)) return torn || !orderly;
  if (text.endsWith('the due times of the segment are read from the log')) return torn || !orderly;
  return kind === 'due.read' && torn;
}
