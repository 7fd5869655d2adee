// Puts the broker's configuration together: flags over environment over file over defaults, and
// remembers where each value came from. What settings there are is schema.ts; starting anything is
// not done here.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { RING_BYTES } from '../../assembly/layout.ts';
import { checkLimits, DEFAULT_LIMITS, type Limits, segmentBytesMin } from '../core/limits.ts';
import type { RuleTable } from '../core/rules/rule-table.ts';
import type { ListenerText, Wire } from './address.ts';
import type { MemoryLimit } from './cgroup.ts';
import { buildCluster, type ClusterConfig } from './cluster.ts';
import { ConfigError, type Found, issueText, type Origin, readConfigFile } from './config-file.ts';
import { buildDashboard, type DashboardConfig } from './dashboard.ts';
import { meantText, readVariables } from './environment.ts';
import { type MemoryConfig, planMemory } from './memory.ts';
import {
  environmentNameOf,
  flagOf,
  SETTING_KEYS,
  SETTINGS,
  type SettingKey,
  type SettingValues,
} from './schema.ts';

export interface Listener {
  host: string;
  port: number;
  wire: Wire;
}

export { ConfigError, type Origin } from './config-file.ts';

export interface BrokerConfig {
  /** Absolute path. */
  dataDir: string;
  unsafeNoLock: boolean;
  /** Whether there must be a log already. */
  requireData: boolean;
  /** Listeners of producers; the first is the main one. */
  intake: Listener[];
  /** Listeners of consumers; the first is the main one. */
  exhaust: Listener[];
  dashboard: DashboardConfig;
  log: { sync: 'commit' | 'interval' | 'none'; syncIntervalMs: number; spareBytes: number };
  limits: Limits;
  memory: MemoryConfig;
  logging: {
    level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
    format: 'json' | 'pretty';
    /** Bucket whose messages are followed at level trace, in decimal. */
    traceBucket?: string | undefined;
  };
  /** Undefined: this broker is no node of a cluster. */
  cluster?: ClusterConfig | undefined;
}

export interface LoadedConfig {
  config: BrokerConfig;
  origins: Record<SettingKey, Origin>;
  /** Values as their sources wrote them; absent: the default. */
  written: Partial<Record<SettingKey, unknown>>;
  /** The file that was read, if any. */
  file: string | undefined;
  /** The rules that stand in it, if any. */
  rules: RuleTable | undefined;
  /** Variables of the environment that begin like ours and are no settings. */
  unknownVariables: string[];
}

export interface Sources {
  /** Values of flags by setting key; the rest is absent. */
  flags: Partial<Record<SettingKey, unknown>>;
  /** Value of `--config`. */
  configFile?: string | undefined;
  environment: Record<string, string | undefined>;
  workingDir: string;
  /** What the control group of this process allows, if it does. */
  memoryLimit?: MemoryLimit | undefined;
  /** Chooses the default log format. */
  terminal: boolean;
}

const FILE_NAMES = ['thrustmq.toml', 'thrustmq.json'];

/**
 * Loads the configuration.
 * @throws ConfigError when a source holds an unknown key or a value that does not fit.
 */
export async function loadConfig(sources: Sources): Promise<LoadedConfig> {
  const found = new Map<SettingKey, Found>();
  const file = findFile(sources);
  const rules = file === undefined ? undefined : await readConfigFile(file, found);
  const unknownVariables = readEnvironment(sources.environment, found);
  for (const key of SETTING_KEYS) {
    const value = sources.flags[key];
    if (value !== undefined)
      found.set(key, { value, origin: { source: 'flag', name: flagOf(key) } });
  }
  const { values, origins } = check(found);
  const written = Object.fromEntries([...found].map(([key, { value }]) => [key, value]));
  const config = build(values, sources, (key) => found.get(key)?.origin.name);
  const { limit, isLowered } = config.memory;
  if (isLowered) origins.memory = { source: 'cgroup', name: `limit: ${limit?.name}` };
  return { config, origins, written, file, rules, unknownVariables };
}

function findFile(sources: Sources): string | undefined {
  const named = sources.configFile ?? (sources.environment[CONFIG_VARIABLE] || undefined);
  if (named !== undefined) return resolve(sources.workingDir, named);
  const present = FILE_NAMES.map((name) => resolve(sources.workingDir, name)).filter(existsSync);
  if (present.length > 1)
    throw new ConfigError(`both ${FILE_NAMES.join(' and ')} exist here; say which with --config`);
  return present[0];
}

const CONFIG_VARIABLE = 'THRUSTMQ_CONFIG';

/** Variables by how a person might write them: also like the flag, `THRUSTMQ_NO_DASHBOARD`. */
const VARIABLES = new Map([
  [CONFIG_VARIABLE, CONFIG_VARIABLE],
  ...SETTING_KEYS.flatMap((key) => {
    const flag = flagOf(key);
    const name = environmentNameOf(key);
    return [
      [
        `THRUSTMQ${flag.slice(1).replaceAll('-', '_').toUpperCase()}`,
        flag.startsWith('--no-') ? `${name}=false` : name,
      ],
      [name, name],
    ] as const;
  }),
]);

/** Gives the variables that are no settings. */
function readEnvironment(
  environment: Record<string, string | undefined>,
  into: Map<SettingKey, Found>,
): string[] {
  const { found, meant, unknown } = readVariables(environment, VARIABLES);
  if (meant.length > 0) throw new ConfigError(meantText(meant));
  for (const key of SETTING_KEYS) {
    const name = environmentNameOf(key);
    const value = found.get(name);
    if (value !== undefined) into.set(key, { value, origin: { source: 'environment', name } });
  }
  return unknown;
}

function check(found: Map<SettingKey, Found>): {
  values: SettingValues;
  origins: Record<SettingKey, Origin>;
} {
  const values: Record<string, unknown> = {};
  const origins: Partial<Record<SettingKey, Origin>> = {};
  const complaints: { text: string; origin: Origin }[] = [];
  for (const key of SETTING_KEYS) {
    const entry = found.get(key);
    const origin: Origin = entry?.origin ?? { source: 'default', name: 'default' };
    const result = SETTINGS.shape[key].safeParse(entry?.value);
    origins[key] = origin;
    if (result.success) values[key] = result.data;
    else complaints.push({ text: `${origin.name}: ${issueText(result.error.issues)}`, origin });
  }
  if (complaints.length > 0) {
    const onlyFlags = complaints.every(({ origin }) => origin.source === 'flag');
    throw new ConfigError(complaints.map(({ text }) => text).join('\n'), onlyFlags ? 2 : 78);
  }
  return { values: values as SettingValues, origins: origins as Record<SettingKey, Origin> };
}

function build(
  values: SettingValues,
  sources: Sources,
  givenAs: (key: SettingKey) => string | undefined,
): BrokerConfig {
  const main = (port: number): Listener => ({ host: values.host, port, wire: values.wire });
  const further = (entry: ListenerText): Listener => ({ ...entry, wire: entry.wire ?? 'u64' });
  const { workingDir } = sources;
  const cluster = buildCluster(values, { givenAs, workingDir, sync: values.sync });
  return {
    dataDir: resolve(sources.workingDir, values.data_dir),
    unsafeNoLock: values.unsafe_no_lock,
    requireData: values.require_data,
    intake: [main(values.intake_port), ...values.intake.map(further)],
    exhaust: [main(values.exhaust_port), ...values.exhaust.map(further)],
    dashboard: buildDashboard(values, workingDir),
    log: {
      sync: values.sync,
      syncIntervalMs: Math.max(1, values.sync_interval),
      spareBytes: values.spare,
    },
    ...buildLimits(values, sources.memoryLimit),
    logging: {
      level: values.log_level,
      format: values.log_format ?? (sources.terminal ? 'pretty' : 'json'),
      ...(values.trace_bucket === undefined ? {} : { traceBucket: values.trace_bucket }),
    },
    ...(cluster === undefined ? {} : { cluster }),
  };
}

/** The configuration as it may be shown: without secrets. */
export function withoutSecrets(config: BrokerConfig): BrokerConfig {
  const { dashboard, cluster } = config;
  return {
    ...config,
    dashboard: withToken(dashboard),
    ...(cluster === undefined ? {} : { cluster: withToken(cluster) }),
  };
}

function withToken<Part extends { token?: string | undefined }>(part: Part): Part {
  return part.token === undefined ? part : { ...part, token: '(set)' };
}

function buildLimits(
  values: SettingValues,
  limit: MemoryLimit | undefined,
): { limits: Limits; memory: MemoryConfig } {
  const plan = planMemory({
    limit,
    dashboard: values.dashboard,
    cluster: values.cluster !== undefined,
    budgetBytes: values.memory,
    messageBytesMax: values.max_message,
    segmentBytesMin: segmentBytesMin(values.max_message, values.reserve),
    segmentBytes: values.segment_size,
    connectionsMax: values.max_connections,
    bufferBytesMax: values.buffer,
  });
  const { connectionsMax } = DEFAULT_LIMITS;
  const caps =
    typeof plan === 'string'
      ? { segmentBytes: values.segment_size ?? RING_BYTES, connectionsMax }
      : plan.limits;
  const limits: Limits = {
    ...DEFAULT_LIMITS,
    ...caps,
    connectionsPerAddressMax:
      values.max_connections_per_address ?? Math.ceil(caps.connectionsMax / 2),
    messageBytesMax: values.max_message,
    batchMessagesMax: values.max_batch,
    consumerHeaderMs: values.consumer_header_timeout,
    partialMessageMs: values.partial_timeout,
    peerBytesMax: values.peer_buffer,
    deliveryBytesMax: values.delivery,
    deliveryBytesMaxU32: values.delivery_u32,
    heartbeatMs: values.heartbeat,
    heartbeatAckMs: values.heartbeat_timeout,
    ackCommitMs: values.ack_commit_delay,
    proofMs: values.proof_delay,
    reserveBytes: values.reserve,
  };
  // What can never work first: more memory would not help.
  const complaint = checkLimits(limits);
  if (complaint !== undefined) throw new ConfigError(complaint);
  if (typeof plan === 'string') throw new ConfigError(plan);
  return { limits, memory: plan.memory };
}
