// Whether it is time for a base: the log up to a segment, as it stands on the owner's disk after
// its compactions, put where nodes without a log find it, so that the stream can go up to there.
// Without one a single old message would keep all that came behind it in the stream.

/** What there is of the log, in bytes. */
export interface BaseFigures {
  /** What the stream holds. */
  readonly stream: number;
  /** Of that, what a base would leave there. */
  readonly behind: number;
  /** Segments on the owner's disk that a base would be made of. */
  readonly files: number;
  /** What bases hold now, the remains of earlier ones included. */
  readonly objects: number;
  /** From how many bytes of the stream on messages are refused. */
  readonly blockedFrom: number;
}

/** So much larger than what is live something may be, and by so much more. */
const TIMES_LIVE = 2;
/** Of a stream that is about to refuse messages, what makes it worth looking. */
const NEARLY_BLOCKED = 0.75;

/**
 * `slackBytes`: what may lie about beside twice of what is live. A base is due only where compaction
 * has made the log small: what is live all over costs as much as a base as it does in the stream.
 */
export function isBaseDue(figures: BaseFigures, slackBytes: number): boolean {
  const { stream, behind, files, objects, blockedFrom } = figures;
  const freed = stream - behind;
  const most = TIMES_LIVE * files + slackBytes;
  if (freed > most || objects > most) return true;
  const isTight = stream >= NEARLY_BLOCKED * blockedFrom;
  return isTight && freed >= TIMES_LIVE * files && freed >= stream / 2;
}
