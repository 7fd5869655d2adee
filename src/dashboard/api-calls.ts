// What a route of the admin API is, what its handler is given, and how an outcome of the broker
// becomes a reply.

import type { Outcome } from '../contract/commands.ts';
import type { RunCommand } from './commander.ts';
import type { History } from './history.ts';
import { type DashboardReply, json, problem } from './http.ts';
import type { Answer, ServedBy, Setting } from './messages.ts';
import type { Conditions } from './rule-orders.ts';

export interface ApiOptions {
  ask: () => Promise<Answer | undefined>;
  run: RunCommand;
  history: History;
  readOnly: boolean;
  settings: readonly Setting[];
  servedBy: () => ServedBy | undefined;
}

export interface Call extends ApiOptions {
  /** Parts of the path that the pattern leaves open. */
  params: Record<string, string>;
  query: URLSearchParams;
  conditions: Conditions;
}

type Handler = (call: Call) => Promise<DashboardReply>;

export interface ApiRoute {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As OpenAPI writes it: {name} stands for one part of the path. */
  path: string;
  handle: Handler;
}

const STATUSES = {
  'bad-request': 400,
  'not-found': 404,
  conflict: 409,
  changed: 412,
  'no-space': 507,
  'too-many': 429,
  failed: 500,
  stopping: 503,
} as const;

/** What the broker answered, as a reply; `status` where it did what was asked. */
export function replyTo(outcome: Outcome, status = 200): DashboardReply {
  if (outcome.ok) return json(status, outcome.result);
  return problem(STATUSES[outcome.code] ?? 500, outcome.detail, outcome.code, outcome.at);
}

/** The same of what goes on in the background: who asks for the bucket sees how far it is. */
export function begun(outcome: Outcome, kind: string): DashboardReply {
  const isLong = kind === 'purge' || kind === 'redrive';
  const isLater = outcome.ok && isLong && !(outcome.result as { done: boolean }).done;
  return replyTo(outcome, isLater ? 202 : 200);
}
