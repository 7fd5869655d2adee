// Where `bench` puts its load: a host, or several, with the ports of both sides.

import { isIPv6 } from 'node:net';
import type { PrivateBroker } from '../load/child.ts';
import type { LoadPlan } from '../load/plan.ts';
import { CliError, EXIT } from './output.ts';
import { resolveTarget } from './target.ts';

export interface BenchTargetOptions {
  server?: string;
  intakePort?: number;
  exhaustPort?: number;
  dataDir?: string;
  wire?: 'u64' | 'u32';
}

export type BenchTarget = Pick<LoadPlan, 'host' | 'hosts' | 'intakePort' | 'exhaustPort' | 'wire'>;

/**
 * The private broker, or what the options say.
 * @throws CliError where nobody is there, or hosts have ports of their own
 */
export function benchTarget(
  options: BenchTargetOptions,
  broker: PrivateBroker | undefined,
): BenchTarget {
  if (broker !== undefined) {
    const { intakePort, exhaustPort } = broker;
    return { host: '127.0.0.1', intakePort, exhaustPort, wire: options.wire ?? 'u64' };
  }
  const common = { ...options, ...(options.server === undefined ? {} : { host: options.server }) };
  const { intakePort, exhaustPort } = options;
  const intake = resolveTarget(
    { ...common, ...(intakePort === undefined ? {} : { port: intakePort }) },
    'intake',
  );
  const exhaust = resolveTarget(
    { ...common, ...(exhaustPort === undefined ? {} : { port: exhaustPort }) },
    'exhaust',
  );
  if (intake.hosts?.some((host) => /:\d+$/.test(host) && !isIPv6(host)))
    throw new CliError(
      EXIT.usage,
      '--server takes hosts alone: --intake-port and --exhaust-port say which ports all of them have',
    );
  return { ...intake, intakePort: intake.port, exhaustPort: exhaust.port };
}
