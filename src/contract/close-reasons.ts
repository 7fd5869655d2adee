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
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

/** How a peer went too far: not our protocol, too slow, or too much memory when that ran out. */
export type BreachKind = Extract<CloseReason, 'protocol' | 'timeout' | 'memory'>;
