// The settings of a node of a cluster: a part of the table of settings, ready to stand in it. What
// is made of their values, and which go together, is cluster.ts.

import type * as z from 'zod';
import { type HostPort, parseAuthority } from '../core/text/address.ts';
import {
  boolean,
  derived,
  duration,
  listOf,
  number,
  parsed,
  setting,
  size,
  text,
  token,
} from './setting-types.ts';

function parseAddress(raw: string | number): HostPort {
  const found = parseAuthority(String(raw).trim());
  if (found === undefined)
    throw new RangeError(`must be HOST:PORT (IPv6: [::1]:4888), not "${raw}"`);
  return found;
}

const address = parsed(parseAddress);
const name = text.refine((raw) => /^[A-Za-z0-9_-]{1,32}$/.test(raw), {
  error: 'must have 1 to 32 letters, digits, _ or -',
});
const server = text.refine((raw) => /^((nats|tls):\/\/)?[^\s/@]+$/.test(raw), {
  error: 'must be HOST:PORT or nats://HOST:PORT, without a password (see --cluster-nats-creds)',
});
const monitor = text.refine((raw) => URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol), {
  error: 'must be a URL such as http://HOST:8222',
});
const path = { arg: 'FILE' };

/** Ready to stand in the table of all settings. */
export const CLUSTER_SHAPE = {
  cluster: derived(name, {
    arg: 'NAME',
    description: 'be a node of this cluster: the log goes through a stream of NATS JetStream',
  }),
  cluster_node: derived(number(1, 65_535), {
    arg: 'N',
    description:
      'number of this node, another one for each; the lowest goes first when one is lost',
  }),
  cluster_nats: setting(listOf(server), {
    fallback: [],
    arg: 'HOST:PORT',
    repeatable: true,
    description: 'a server of NATS',
  }),
  cluster_nats_creds: derived(text, { ...path, description: 'credentials for NATS' }),
  cluster_nats_ca: derived(text, { ...path, description: 'whom to trust as a server of NATS' }),
  cluster_nats_cert: derived(text, { ...path, description: 'certificate of this node for NATS' }),
  cluster_nats_key: derived(text, { ...path, description: 'key of that certificate' }),
  cluster_nats_monitor: setting(listOf(monitor), {
    fallback: [],
    arg: 'URL',
    repeatable: true,
    description: 'monitoring address of a server of NATS, which shows whether it syncs',
  }),
  cluster_nats_synced: setting(boolean, {
    fallback: false,
    description:
      'state that every server of NATS has sync_interval: always, where no monitor shows it',
  }),
  cluster_unsafe_sync: setting(boolean, {
    fallback: false,
    advanced: true,
    description: 'serve although servers of NATS ack before they sync',
  }),
  cluster_unsafe_server: setting(boolean, {
    fallback: false,
    advanced: true,
    description: 'serve although servers of NATS are too old, or fewer than three',
  }),
  cluster_replicas: setting(number(1, 3), {
    fallback: 3,
    arg: '1|3',
    advanced: true,
    description: 'copies of the stream; 1 only with --cluster-unsafe-server',
  }),
  cluster_max_bytes: setting(size, {
    fallback: '16GiB',
    arg: 'SIZE',
    description: 'most bytes of the stream, on each server of NATS; the same for all nodes',
  }),
  cluster_base_slack: setting(size, {
    fallback: '1GiB',
    arg: 'SIZE',
    advanced: true,
    description: 'what the stream may hold beside twice of what is live, before a base is made',
  }),
  cluster_listen: setting(address, {
    fallback: '127.0.0.1:4888',
    arg: 'HOST:PORT',
    description: 'where other nodes bring the connections of their clients',
  }),
  cluster_advertise: derived(address, {
    arg: 'HOST:PORT',
    description: 'where other nodes reach that (default: --cluster-listen)',
  }),
  cluster_token: derived(token, {
    arg: 'TOKEN',
    description: 'what nodes must know of each other; prefer the environment or a file',
  }),
  cluster_token_file: derived(text, {
    ...path,
    description: 'file whose first line is that token',
  }),
  cluster_tls_ca: derived(text, { ...path, description: 'whom to trust as a node' }),
  cluster_tls_cert: derived(text, { ...path, description: 'certificate of this node for others' }),
  cluster_tls_key: derived(text, { ...path, description: 'key of that certificate' }),
  cluster_avoid_server: derived(text, {
    arg: 'NAME',
    advanced: true,
    description: 'server of NATS on the machine of this node, which shall not lead while it owns',
  }),
  cluster_ttl: setting(duration, {
    fallback: '2s',
    arg: 'TIME',
    advanced: true,
    description: 'silence of the owner after which others try; the same for all nodes',
  }),
  cluster_own: setting(duration, {
    fallback: '1200ms',
    arg: 'TIME',
    advanced: true,
    description: 'time without confirmation after which an owner delivers no more',
  }),
  cluster_beat: setting(duration, {
    fallback: '500ms',
    arg: 'TIME',
    advanced: true,
    description: 'time after which an idle owner shows that it is there',
  }),
};

export type ClusterKey = keyof typeof CLUSTER_SHAPE;
export type ClusterValues = z.output<z.ZodObject<typeof CLUSTER_SHAPE>>;
