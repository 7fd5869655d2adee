// The one table of settings: key, default, kind, help. Flags, environment names, file keys and the
// help text are derived from it here, so they cannot drift. Reading sources and building the
// broker's configuration from the values is load.ts.

import * as z from 'zod';
import { DEFAULT_LIMITS } from '../core/limits.ts';
import { type ListenerText, parseListener } from './address.ts';
import { parseBucketId } from './bucket-id.ts';
import { CLUSTER_SHAPE } from './cluster-settings.ts';
import {
  boolean,
  derived,
  duration,
  durationText,
  fail,
  host,
  hostName,
  listOf,
  number,
  parsed,
  type SettingMeta,
  setting,
  size,
  sizeText,
  text,
  token,
} from './setting-types.ts';

export type { SettingMeta } from './setting-types.ts';

const wire = z.enum(['u64', 'u32']);
const bucket = parsed(parseBucketId);

const listenerTable = z.strictObject({
  host,
  port: number(0, 65_535),
  wire: wire.optional(),
});
const listener = z.union([z.string(), listenerTable]).transform((raw, context): ListenerText => {
  if (typeof raw !== 'string') return raw;
  try {
    return parseListener(raw);
  } catch (error) {
    return fail(context, (error as Error).message);
  }
});

export const SETTINGS = z.strictObject({
  data_dir: setting(text, {
    fallback: './data',
    arg: 'DIR',
    description: 'folder of the log; made if absent; one broker at a time',
  }),
  host: setting(host, {
    fallback: '127.0.0.1',
    arg: 'HOST',
    description: 'address to bind; 0.0.0.0 or :: opens the broker to the network',
  }),
  intake_port: setting(number(0, 65_535), {
    fallback: 1888,
    arg: 'PORT',
    description: 'port of producers; 0 = any free port',
  }),
  exhaust_port: setting(number(0, 65_535), {
    fallback: 2888,
    arg: 'PORT',
    description: 'port of consumers; 0 = any free port',
  }),
  dashboard_port: setting(number(0, 65_535), {
    fallback: 3888,
    arg: 'PORT',
    description: 'port of the dashboard; 0 = any free port',
  }),
  wire: setting(wire, {
    fallback: 'u64',
    arg: 'u64|u32',
    description: 'dialect of the two main listeners: bytes of a Length',
  }),
  intake: setting(listOf(listener), {
    fallback: [],
    arg: 'HOST:PORT[,wire=u64|u32]',
    repeatable: true,
    description: 'a further listener for producers',
  }),
  exhaust: setting(listOf(listener), {
    fallback: [],
    arg: 'HOST:PORT[,wire=u64|u32]',
    repeatable: true,
    description: 'a further listener for consumers',
  }),
  sync: setting(z.enum(['commit', 'interval', 'none']), {
    fallback: 'commit',
    arg: 'commit|interval|none',
    description: 'when the log is synced; only with commit does an ack mean "on disk"',
  }),
  sync_interval: setting(duration, {
    fallback: '100ms',
    arg: 'TIME',
    description: 'time between syncs with --sync interval',
  }),
  max_message: setting(size, {
    fallback: sizeText(DEFAULT_LIMITS.messageBytesMax),
    arg: 'SIZE',
    description: 'largest message, at most 64MiB',
  }),
  memory: derived(size, {
    arg: 'SIZE',
    description:
      'memory of the broker process, shared out to all that grows ' +
      '(default: 512MiB, more if messages need it, less if the limit of a container leaves less)',
  }),
  dashboard: setting(boolean, {
    fallback: true,
    description: 'run the dashboard process',
  }),
  dashboard_host: derived(host, {
    arg: 'HOST',
    description: 'address of the dashboard (default: --host)',
  }),
  dashboard_allow_host: setting(listOf(hostName), {
    fallback: [],
    arg: 'NAME',
    repeatable: true,
    description: 'a further NAME or NAME:PORT that browsers may use for the dashboard',
  }),
  dashboard_transport: setting(z.enum(['auto', 'uws', 'node']), {
    fallback: 'auto',
    arg: 'auto|uws|node',
    description: 'HTTP server of the dashboard; auto = uWebSockets.js where it loads',
  }),
  dashboard_token: derived(token, {
    arg: 'TOKEN',
    description:
      'what whoever uses the dashboard and its API must know; flags show in lists of processes: ' +
      'prefer the environment or a file',
  }),
  dashboard_token_file: derived(text, {
    arg: 'FILE',
    description: 'file whose first line is that token',
  }),
  dashboard_read_only: setting(boolean, {
    fallback: false,
    description: 'let nobody change anything through the dashboard or its API',
  }),
  log_level: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']), {
    fallback: 'info',
    arg: 'LEVEL',
    description: 'least level to log: trace, debug, info, warn, error or fatal',
  }),
  trace_bucket: derived(bucket, {
    arg: 'ID',
    description:
      'bucket whose messages --log-level trace follows, one line for what becomes of them',
  }),
  log_format: derived(z.enum(['json', 'pretty']), {
    arg: 'json|pretty',
    description: 'form of the log lines (default: pretty on a terminal, else json)',
  }),
  max_batch: setting(number(1, 65_536), {
    fallback: DEFAULT_LIMITS.batchMessagesMax,
    arg: 'N',
    advanced: true,
    description: 'most messages in one batch, either way',
  }),
  max_connections: derived(number(1, 1_000_000), {
    arg: 'N',
    advanced: true,
    description:
      'most connections of producers and consumers (default: 10000, or what --memory has room for)',
  }),
  max_connections_per_address: derived(number(1, 1_000_000), {
    arg: 'N',
    advanced: true,
    description:
      'most connections from one remote address, or IPv6 /64 network; loopback may use all ' +
      '(default: half of --max-connections)',
  }),
  segment_size: derived(size, {
    arg: 'SIZE',
    advanced: true,
    description:
      'size of a log file, at most 256MiB (default: an eighth of --memory, at most ' +
      `${sizeText(DEFAULT_LIMITS.segmentBytes)}, more if messages need it)`,
  }),
  spare: setting(size, {
    fallback: '0B',
    arg: 'SIZE',
    advanced: true,
    description:
      'disk space to hold ready for bursts, beyond the next log file; made in the background',
  }),
  reserve: setting(size, {
    fallback: sizeText(DEFAULT_LIMITS.reserveBytes),
    arg: 'SIZE',
    advanced: true,
    description: 'part of a log file kept for acks of consumers when the disk is full',
  }),
  buffer: derived(size, {
    arg: 'SIZE',
    advanced: true,
    description:
      'bytes for the partial input and unread output of all connections (default: part of --memory)',
  }),
  peer_buffer: setting(size, {
    fallback: sizeText(DEFAULT_LIMITS.peerBytesMax),
    arg: 'SIZE',
    advanced: true,
    description: 'bytes queued for one peer before its input is paused',
  }),
  delivery: setting(size, {
    fallback: sizeText(DEFAULT_LIMITS.deliveryBytesMax),
    arg: 'SIZE',
    advanced: true,
    description: 'largest delivery to a u64 consumer; a larger message travels alone',
  }),
  delivery_u32: setting(size, {
    fallback: sizeText(DEFAULT_LIMITS.deliveryBytesMaxU32),
    arg: 'SIZE',
    advanced: true,
    description: 'largest delivery to a u32 consumer',
  }),
  consumer_header_timeout: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.consumerHeaderMs),
    arg: 'TIME',
    advanced: true,
    description: 'time a consumer has to say what it wants',
  }),
  partial_timeout: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.partialMessageMs),
    arg: 'TIME',
    advanced: true,
    description: 'time a message that has begun has to arrive',
  }),
  heartbeat: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.heartbeatMs),
    arg: 'TIME',
    advanced: true,
    description: 'silence after which a waiting consumer gets a heartbeat',
  }),
  heartbeat_timeout: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.heartbeatAckMs),
    arg: 'TIME',
    advanced: true,
    description: 'time a consumer has to ack a heartbeat',
  }),
  ack_commit_delay: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.ackCommitMs),
    arg: 'TIME',
    advanced: true,
    description: 'longest that acks of consumers wait for a publish to share a commit with',
  }),
  proof_delay: setting(duration, {
    fallback: durationText(DEFAULT_LIMITS.proofMs),
    arg: 'TIME',
    advanced: true,
    description: 'idle time after which the last batch is proved durable',
  }),
  require_data: setting(boolean, {
    fallback: false,
    description: 'start only where there is a log already, so that a volume must be mounted',
  }),
  unsafe_no_lock: setting(boolean, {
    fallback: false,
    advanced: true,
    description: 'start without the lock of the data folder; two brokers destroy the log',
  }),
  ...CLUSTER_SHAPE,
});

export type SettingKey = keyof z.output<typeof SETTINGS>;
export type SettingValues = z.output<typeof SETTINGS>;

export const SETTING_KEYS = Object.keys(SETTINGS.shape) as SettingKey[];

/** What the schema says about a key. */
export function metaOf(key: SettingKey): SettingMeta {
  return SETTINGS.shape[key].meta() as unknown as SettingMeta;
}

/** `data_dir` → `--data-dir`; a switch that is on by default is known by its negation. */
export function flagOf(key: SettingKey): string {
  const dashed = key.replaceAll('_', '-');
  return metaOf(key).fallback === true ? `--no-${dashed}` : `--${dashed}`;
}

/** `data_dir` → `THRUSTMQ_DATA_DIR`. */
export function environmentNameOf(key: SettingKey): string {
  return `THRUSTMQ_${key.toUpperCase()}`;
}
