// What is not as it should be when a world is at rest: messages that are late, too old, or left.

import { expiredMs, isOverstayed } from './ages.ts';
import type { Checker } from './checker.ts';
import { type Message, name } from './model.ts';

/** Says which message should be ready, and was not in `lateMs`. */
export function overdue({ lines, wall, mayRefuse }: Checker, lateMs: number): string | undefined {
  const latest = wall() - lateMs;
  for (const message of lines.delayed) {
    // What a full disk cannot be told waits for room.
    const isTold = message.state === 'waiting' || !mayRefuse;
    if (isTold && !message.unsure && message.delays.dueMs < latest)
      return `${name(message)} is late`;
  }
  return undefined;
}

/** Says which message is there though it is expired for long. */
export function overstayed(checker: Checker): string | undefined {
  const { lines, deaths } = checker;
  const ready = [...lines.buckets].flatMap((bucket) => lines.of(bucket));
  const delayed = [...lines.delayed].filter(({ state }) => state === 'waiting');
  const inLines = [...ready, ...deaths.dead];
  // What was stored before the clock was set back is younger than what stands behind it, which
  // nobody comes to before that.
  const isBehind = ({ bucket, isDead, sequence }: Message) =>
    inLines.some(
      (each) =>
        each.bucket === bucket &&
        each.isDead === isDead &&
        each.sequence < sequence &&
        !isOverstayed(each, checker),
    );
  for (const message of [...inLines, ...delayed])
    if (
      isOverstayed(message, checker) &&
      !message.doubtful &&
      !message.unsure &&
      !isBehind(message)
    )
      return `${name(message)} is ${message.state} though it expired ${expiredMs(message, checker)} ms ago`;
  return undefined;
}

/** Says what is left of messages that somebody should have. */
export function leftOver({ messages }: Checker): string {
  const isOver = ({ state }: Message) => ['done', 'gone', 'refused', 'sent'].includes(state);
  const left = [...messages.values()].filter((message) => !isOver(message));
  return left.map((message) => `${name(message)} ${message.state}`).join(', ');
}
