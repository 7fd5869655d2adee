// What the broker and its dashboard process say to each other over the fork's channel. Types, and one bound.

import type { ClusterSnapshot } from '../contract/cluster.ts';
import type { Command, Outcome } from '../contract/commands.ts';
import type { Snapshot, StartSnapshot } from '../contract/snapshot.ts';

export interface Check {
  ok: boolean;
  detail: string;
}

export interface Health {
  /** Recovery is over and the listeners are open. */
  started: boolean;
  /** The broker makes progress. */
  live: boolean;
  /** It takes work: started, not stopping, storage fine. */
  ready: boolean;
  checks: Record<string, Check>;
  /** How far the start is, until it is over. */
  progress?: StartSnapshot | undefined;
}

/** How often the dashboard's process had to be started again. */
export interface Restarts {
  /** It ended, or could not start. */
  ended: number;
  /** It did not answer any more and was killed. */
  silent: number;
  /** When and why it was the last time, for people. */
  last?: string | undefined;
}

/** What the broker tells on being asked; no snapshot before it has started, nor while another node
 * of its cluster owns the log. */
export interface Answer {
  health: Health;
  snapshot?: Snapshot | undefined;
  /** Of a node of a cluster. */
  cluster?: ClusterSnapshot | undefined;
  /** Not there before the first. */
  restarts?: Restarts | undefined;
}

/** What is pushed to pages of a node of a cluster: what it says of the cluster itself. */
export interface ClusterView extends ClusterSnapshot {
  /** It owns the log, so that there is an overview, too. */
  serves: boolean;
  readOnly: boolean;
}

/** A setting as its source wrote it, for people. */
export interface Setting {
  key: string;
  /** Empty: it follows from other settings. Secrets are "(set)". */
  value: string;
  source: 'flag' | 'environment' | 'file' | 'default' | 'cgroup';
  /** Where a person would look for it. */
  origin: string;
  description: string;
}

/** Which of its two servers the dashboard runs on. */
export interface ServedBy {
  transport: 'uws' | 'node';
  /** Why it is not uWebSockets.js. */
  why?: string | undefined;
}

export interface DashboardOptions {
  host: string;
  /** 0 = any free port. */
  port: number;
  transport: 'auto' | 'uws' | 'node';
  allowedHosts: string[];
  /** Whoever wants more than the probes must name it; undefined: nobody needs one. */
  token?: string | undefined;
  /** Nothing can be changed from here. */
  readOnly: boolean;
  settings?: Setting[] | undefined;
  version: string;
}

/** Commands that may be under way at a time; the broker ignores more. */
export const COMMANDS_MAX = 8;

export type ToChild =
  | { type: 'start'; options: DashboardOptions }
  | { type: 'answer'; id: number; answer: Answer }
  /** Null: it is not known. */
  | { type: 'activity'; activity: number | null }
  | { type: 'outcome'; id: number; outcome: Outcome }
  | { type: 'ping'; id: number };

export type FromChild =
  | { type: 'pong'; id: number }
  | { type: 'ask'; id: number }
  | { type: 'look' }
  | { type: 'command'; id: number; command: Command }
  | { type: 'listening'; port: number; transport: 'uws' | 'node'; note?: string | undefined }
  | { type: 'failed'; code: string; message: string };
