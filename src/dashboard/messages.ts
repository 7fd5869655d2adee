// What the broker and its dashboard process say to each other over the fork's channel. Types only.

import type { Snapshot, StartSnapshot } from '../core/snapshot.ts';

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

/** What the broker tells on being asked; no snapshot before it has started. */
export interface Answer {
  health: Health;
  snapshot?: Snapshot | undefined;
}

export interface DashboardOptions {
  host: string;
  /** 0 = any free port. */
  port: number;
  transport: 'auto' | 'uws' | 'node';
  allowedHosts: string[];
  version: string;
}

export type ToChild =
  | { type: 'start'; options: DashboardOptions }
  | { type: 'answer'; id: number; answer: Answer };

export type FromChild =
  | { type: 'ask'; id: number }
  | { type: 'listening'; port: number; transport: 'uws' | 'node'; note?: string | undefined }
  | { type: 'failed'; code: string; message: string };
