// How many connections the limit of open descriptors has room for, beside what the broker itself
// keeps open.

import type { Limits } from '../core/limits.ts';
import { descriptorLimit } from './descriptors.ts';
import type { Logger } from './logger.ts';

// Descriptors that connections must leave for segments, the dashboard and the system: a fifth, and
// not less than a broker with a short log has open.
const DESCRIPTOR_SHARE = 0.8;
const DESCRIPTORS_KEPT = 64;

/** The configured numbers, or what the descriptors leave room for, in the same proportion. */
export function connectionLimits(configured: Limits, log: Logger): Limits {
  const { connectionsMax: wanted, connectionsPerAddressMax } = configured;
  const soft = descriptorLimit();
  if (soft === undefined) return configured;
  const left = Math.min(Math.floor(soft * DESCRIPTOR_SHARE), soft - DESCRIPTORS_KEPT);
  const possible = Math.max(1, left);
  if (!(possible < wanted)) return configured;
  log.warn(
    { event: 'connections.limit', wanted, possible },
    `${wanted} connections need more descriptors than the ${soft} this process may open: ${possible} are accepted. Raise the limit (ulimit -n)`,
  );
  const perAddress = Math.ceil((connectionsPerAddressMax / wanted) * possible);
  return { ...configured, connectionsMax: possible, connectionsPerAddressMax: perAddress };
}
