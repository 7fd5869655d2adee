// What the broker's dashboard sends to the page, as far as it is not typed elsewhere.

import type { BucketInfo, BucketPage } from '../contract/commands.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { ClusterView, ServedBy } from '../dashboard/messages.ts';

type Buckets = Omit<Snapshot['buckets'], 'top'>;
type Connections = Omit<Snapshot['connections'], 'list'>;

/** The overview: the snapshot without its lists, histograms and settings. */
export interface Overview
  extends Omit<Snapshot, 'config' | 'histograms' | 'buckets' | 'connections'> {
  buckets: Buckets & { exact?: boolean };
  connections: Connections;
  log: Snapshot['log'] & {
    liveBytes?: number;
    oldest?: { bucket: string; sequence: string };
  };
  memory: Snapshot['memory'] & { budgetBytes?: number };
  readOnly: boolean;
  servedBy?: ServedBy;
}

/** An error as RFC 9457 describes it. */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  /** The part of what was asked that is wrong, where it is one. */
  at?: string;
}

export type Frame =
  | { type: 'cluster'; data: ClusterView }
  | { type: 'overview'; data: Overview }
  | { type: 'bucket'; data: BucketInfo }
  | { type: 'buckets'; data: BucketPage }
  | { type: 'problem'; data: Problem };

export interface Check {
  ok: boolean;
  detail: string;
}
