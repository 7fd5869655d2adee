// What the settings of a cluster say together: the configuration of this node, or what is refused.

import { resolve } from 'node:path';
import { authority, type HostPort } from '../core/text/address.ts';
import { isLoopback } from './address.ts';
import { CLUSTER_SHAPE, type ClusterKey, type ClusterValues } from './cluster-settings.ts';
import { ConfigError } from './config-file.ts';
import { readFirstLine } from './text-file.ts';

/** Certificate, its key, and whom to trust: absolute paths. */
export interface TlsFiles {
  caFile?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

export interface ClusterConfig {
  name: string;
  node: number;
  nats: TlsFiles & { servers: string[]; credsFile?: string | undefined; monitors: string[] };
  stream: { maxBytes: number; replicas: number };
  /** What the stream may hold beside twice of what is live, in bytes, before a base is made. */
  baseSlackBytes: number;
  accepted: { synced: boolean; unsafeSync: boolean; unsafeServer: boolean };
  listen: HostPort;
  advertise: HostPort;
  /** What nodes show each other: one of these at least, unless only this machine can reach them.
   * The file is read again when it changes. */
  token?: string | undefined;
  tokenFile?: string | undefined;
  tls?: Required<TlsFiles> | undefined;
  avoidServer?: string | undefined;
  ttlMs: number;
  ownMs: number;
  beatMs: number;
}

export interface ClusterContext {
  /** How a key was given, as a person would look for it; undefined: it was not. */
  givenAs: (key: ClusterKey) => string | undefined;
  workingDir: string;
  sync: 'commit' | 'interval' | 'none';
}

const MAX_BYTES_MIN = 64 * 1024 * 1024;
/** Between the last delivery of an owner and the first try of another, beside a beat. */
const MARGIN_MS = 100;

/**
 * What the values say; undefined: this broker is no node of a cluster.
 * @throws ConfigError where they do not go together
 */
export function buildCluster(
  values: ClusterValues,
  context: ClusterContext,
): ClusterConfig | undefined {
  if (values.cluster === undefined) {
    const keys = Object.keys(CLUSTER_SHAPE) as ClusterKey[];
    const useless = keys.map(context.givenAs).find((one) => one !== undefined);
    if (useless === undefined) return undefined;
    throw new ConfigError(
      `${useless} does nothing without --cluster NAME: add that, or leave it out`,
    );
  }
  const complaint = complaintOf(values, context);
  if (complaint !== undefined) throw new ConfigError(complaint);
  const at = (file: string | undefined) => file && resolve(context.workingDir, file);
  const { cluster_tls_ca: ca, cluster_tls_cert: cert, cluster_tls_key: key } = values;
  return {
    name: values.cluster,
    node: values.cluster_node!,
    nats: {
      servers: values.cluster_nats,
      credsFile: at(values.cluster_nats_creds),
      caFile: at(values.cluster_nats_ca),
      certFile: at(values.cluster_nats_cert),
      keyFile: at(values.cluster_nats_key),
      monitors: values.cluster_nats_monitor,
    },
    stream: { maxBytes: values.cluster_max_bytes, replicas: values.cluster_replicas },
    baseSlackBytes: values.cluster_base_slack,
    accepted: {
      synced: values.cluster_nats_synced,
      unsafeSync: values.cluster_unsafe_sync,
      unsafeServer: values.cluster_unsafe_server,
    },
    listen: values.cluster_listen,
    advertise: values.cluster_advertise ?? values.cluster_listen,
    ...tokenOf(values, at),
    tls:
      ca && cert && key ? { caFile: at(ca)!, certFile: at(cert)!, keyFile: at(key)! } : undefined,
    avoidServer: values.cluster_avoid_server,
    ttlMs: values.cluster_ttl,
    ownMs: values.cluster_own,
    beatMs: values.cluster_beat,
  };
}

function complaintOf(values: ClusterValues, { sync }: ClusterContext): string | undefined {
  const listen = values.cluster_listen;
  const advertise = values.cluster_advertise ?? listen;
  const tls = [values.cluster_tls_ca, values.cluster_tls_cert, values.cluster_tls_key];
  const hasTls = tls.every((file) => file !== undefined);
  const hasToken = values.cluster_token !== undefined || values.cluster_token_file !== undefined;
  const { cluster_ttl: ttl, cluster_own: own, cluster_beat: beat } = values;
  const rules: [boolean, string][] = [
    [
      values.cluster_node === undefined,
      '--cluster needs --cluster-node N, another one for each node',
    ],
    [values.cluster_nats.length === 0, '--cluster needs --cluster-nats HOST:PORT, once per server'],
    [sync !== 'commit', `--cluster needs --sync commit, not ${sync}: an ack means "on disk" there`],
    [
      (values.cluster_nats_cert === undefined) !== (values.cluster_nats_key === undefined),
      '--cluster-nats-cert and --cluster-nats-key go together: give both, or none',
    ],
    [
      !hasTls && tls.some((file) => file !== undefined),
      '--cluster-tls-ca, --cluster-tls-cert and --cluster-tls-key go together: give all, or none',
    ],
    [
      !hasTls && !hasToken && !isLoopback(listen.host),
      `whoever reaches ${authority(listen.host, listen.port)} could speak for a node: give all nodes a token (--cluster-token-file), or certificates (--cluster-tls-…)`,
    ],
    [
      ['0.0.0.0', '::'].includes(advertise.host),
      `other nodes cannot reach ${advertise.host}: say where they can (--cluster-advertise HOST:PORT)`,
    ],
    [
      values.cluster_nats_synced && values.cluster_unsafe_sync,
      '--cluster-nats-synced states what --cluster-unsafe-sync does without: leave one out',
    ],
    [
      values.cluster_replicas === 2,
      '--cluster-replicas must be 3, or 1: two copies lose as one does',
    ],
    [
      values.cluster_replicas === 1 && !values.cluster_unsafe_server,
      '--cluster-replicas 1 keeps one copy in NATS: accept that (--cluster-unsafe-server), or use 3',
    ],
    [
      values.cluster_max_bytes < MAX_BYTES_MIN,
      '--cluster-max-bytes must be 64MiB or more: the stream holds several log files',
    ],
    [beat < 50, '--cluster-beat must be 50ms or more'],
    [own <= beat, '--cluster-own must be longer than --cluster-beat'],
    [
      own >= ttl - beat - MARGIN_MS,
      `--cluster-own must be shorter than --cluster-ttl less --cluster-beat and ${MARGIN_MS}ms (${ttl - beat - MARGIN_MS}ms), so that an owner stops before another begins`,
    ],
  ];
  return rules.find(([isBroken]) => isBroken)?.[1];
}

function tokenOf(
  { cluster_token: given, cluster_token_file: file }: ClusterValues,
  at: (file: string) => string | undefined,
): Pick<ClusterConfig, 'token' | 'tokenFile'> {
  if (file === undefined) return given === undefined ? {} : { token: given };
  if (given !== undefined)
    throw new ConfigError('cluster_token and cluster_token_file are both given: leave one out');
  const where = at(file)!;
  let line: string;
  try {
    line = readFirstLine(where);
  } catch (error) {
    throw new ConfigError(`cannot read the token file ${where}: ${(error as Error).message}`);
  }
  const checked = CLUSTER_SHAPE.cluster_token.safeParse(line);
  if (!checked.success)
    throw new ConfigError(`the first line of ${where} ${checked.error.issues[0]!.message}`);
  return { tokenFile: where };
}
