// Why a connection ended, for page, metrics and log.

/** Why a connection ended: who closed it, or what for. */
export const CLOSE_REASONS = [
  'peer',
  'protocol',
  'timeout',
  'lease',
  'memory',
  'unreachable',
  'operator',
  'shutdown',
  'suspended',
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

const NOT_ITS_DOING: ReadonlySet<CloseReason> = new Set([
  'memory',
  'operator',
  'shutdown',
  'suspended',
]);

/** Whether it says something of what a consumer held: one that the broker or an operator ends for
 * reasons of their own does not. */
export function isItsDoing(reason: CloseReason): boolean {
  return !NOT_ITS_DOING.has(reason);
}

/** How a peer went too far: not our protocol, too slow, or too much memory when that ran out. */
export type BreachKind = Extract<CloseReason, 'protocol' | 'timeout' | 'memory'>;
