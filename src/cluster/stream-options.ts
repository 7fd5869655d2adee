// How the stream of a cluster is reached, as its settings say.

import type { ClusterConfig } from '../config/cluster.ts';
import type { StreamOptions } from '../io/cluster/jetstream.ts';
import type { Logger } from '../io/logger.ts';

export const SHARD = 0;

export function streamOptions({ name, nats, stream, accepted }: ClusterConfig, log: Logger) {
  const options: StreamOptions = {
    ...nats,
    ...stream,
    ...accepted,
    cluster: name,
    shard: SHARD,
    warn: (text) => log.warn({ event: 'cluster.nats' }, text),
  };
  return options;
}
