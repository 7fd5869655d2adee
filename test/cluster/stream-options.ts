// How the stream of a cluster is opened in tests, over servers that may be old.

import type { StreamOptions } from '../../src/io/cluster/jetstream.ts';
import type { NatsCluster } from './nats.ts';

export function optionsFor(nats: NatsCluster, more: Partial<StreamOptions> = {}): StreamOptions {
  return {
    servers: nats.urls,
    cluster: 'test',
    shard: 0,
    maxBytes: 64 * 1024 * 1024,
    replicas: 3,
    monitors: nats.monitors,
    synced: false,
    unsafeSync: false,
    unsafeServer: true,
    warn: () => {},
    ...more,
  };
}
