// The admin API under /api/v1: which routes there are, what their queries may say, and how the
// broker's outcomes become replies. openapi.ts describes the same for people and programs.

import { type Outcome, ROWS_MAX, type RuleRow } from '../contract/commands.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { whyNoSnapshot } from './absent.ts';
import { type ApiOptions, type ApiRoute, begun, type Call, replyTo } from './api-calls.ts';
import { CLUSTER_ROUTES } from './cluster-routes.ts';
import type { RunCommand } from './commander.ts';
import { DEAD_ROUTES } from './dead-routes.ts';
import { SECONDS_MAX } from './history.ts';
import { type DashboardReply, json, problem } from './http.ts';
import type { ServedBy } from './messages.ts';
import { OPENAPI } from './openapi.ts';
import {
  bucketsCommand,
  LIMIT_USUAL,
  peekCommand,
  QueryError,
  shown,
  wholeFrom,
} from './queries.ts';
import { type Conditions, ruleToRemove, ruleToSet } from './rule-orders.ts';

const PATH_MAX = 4096;
const RULE_PATH = '/api/v1/rules/{name}';

export const API_ROUTES: readonly ApiRoute[] = [
  { method: 'GET', path: '/api/v1/overview', handle: overview },
  { method: 'GET', path: '/api/v1/config', handle: config },
  { method: 'GET', path: '/api/v1/history', handle: history },
  { method: 'GET', path: '/api/v1/openapi.json', handle: async () => json(200, OPENAPI) },
  { method: 'GET', path: '/api/v1/buckets', handle: buckets },
  { method: 'GET', path: '/api/v1/buckets/{id}', handle: (call) => onBucket(call, 'bucket') },
  { method: 'GET', path: '/api/v1/buckets/{id}/messages', handle: peek },
  {
    method: 'GET',
    path: '/api/v1/buckets/{id}/rule',
    handle: (call) => onBucket(call, 'bucket-rule'),
  },
  { method: 'POST', path: '/api/v1/buckets/{id}/purge', handle: (call) => onBucket(call, 'purge') },
  { method: 'POST', path: '/api/v1/buckets/{id}/pause', handle: (call) => onBucket(call, 'pause') },
  {
    method: 'POST',
    path: '/api/v1/buckets/{id}/resume',
    handle: (call) => onBucket(call, 'resume'),
  },
  ...DEAD_ROUTES,
  { method: 'GET', path: '/api/v1/rules', handle: (call) => list(call, 'rules') },
  {
    method: 'GET',
    path: '/api/v1/rule-keys',
    handle: async ({ run }) => replyTo(await run({ kind: 'rule-keys' })),
  },
  { method: 'GET', path: RULE_PATH, handle: rule },
  { method: 'PUT', path: RULE_PATH, handle: setRule },
  { method: 'DELETE', path: RULE_PATH, handle: removeRule },
  { method: 'GET', path: '/api/v1/connections', handle: (call) => list(call, 'connections') },
  { method: 'DELETE', path: '/api/v1/connections/{id}', handle: close },
  { method: 'GET', path: '/api/v1/backup', handle: ({ run }) => onBackup(run, 'backup-state') },
  { method: 'POST', path: '/api/v1/backup/begin', handle: backup },
  {
    method: 'POST',
    path: '/api/v1/backup/cancel',
    handle: ({ run }) => onBackup(run, 'backup-cancel'),
  },
  { method: 'GET', path: '/api/v1/segments', handle: (call) => list(call, 'segments') },
  ...CLUSTER_ROUTES,
];

/** Pattern of the route that a path belongs to, for counting; undefined: none. */
export function apiPatternOf(path: string): string | undefined {
  return API_ROUTES.find((route) => matched(route.path, path) !== undefined)?.path;
}

/** Answers a request whose path begins with /api/v1/. Must not throw. */
export async function answerApi(
  method: string,
  path: string,
  query: URLSearchParams,
  options: ApiOptions,
  conditions: Conditions = {},
): Promise<DashboardReply> {
  const wanted = method === 'HEAD' ? 'GET' : method;
  const there = API_ROUTES.filter((route) => matched(route.path, path) !== undefined);
  const route = there.find((each) => each.method === wanted);
  if (route === undefined) {
    if (there.length === 0) return problem(404, `there is no ${path}: see /api/v1/openapi.json`);
    const allowed = there.map((each) => each.method).join(', ');
    const refusal = problem(405, `${path} takes ${allowed} only`);
    refusal.headers.allow = allowed;
    return refusal;
  }
  try {
    return await route.handle({
      ...options,
      params: matched(route.path, path)!,
      query,
      conditions,
    });
  } catch (error) {
    if (error instanceof QueryError) return problem(400, error.message);
    throw error;
  }
}

function matched(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0; i < wanted.length; i++) {
    const name = /^\{(.+)\}$/.exec(wanted[i]!)?.[1];
    if (name !== undefined) params[name] = given[i]!;
    else if (wanted[i] !== given[i]) return undefined;
  }
  return params;
}

async function snapshotOf({ ask }: ApiOptions): Promise<Snapshot | DashboardReply> {
  const answer = await ask();
  return answer?.snapshot ?? whyNoSnapshot(answer);
}

async function overview(call: Call): Promise<DashboardReply> {
  const snapshot = await snapshotOf(call);
  if (isReply(snapshot)) return snapshot;
  return json(200, overviewOf(snapshot, call.readOnly, call.servedBy()));
}

/** What the overview says: the snapshot without its lists, histograms and settings. */
export function overviewOf(
  snapshot: Snapshot,
  readOnly: boolean,
  servedBy: ServedBy | undefined,
): object {
  const { config: _, histograms: _h, buckets: all, connections: open, ...rest } = snapshot;
  const { top: _top, ...counts } = all;
  const { list: _list, opened: _opened, closed: _closed, ...connections } = open;
  return { ...rest, buckets: counts, connections, readOnly, servedBy };
}

// A node that follows has its settings, too.
async function config(call: Call): Promise<DashboardReply> {
  const { settings } = call;
  const answer = await call.ask();
  if (answer?.snapshot !== undefined) return json(200, { ...answer.snapshot.config, settings });
  return answer?.cluster === undefined ? whyNoSnapshot(answer) : json(200, { settings });
}

function isReply(value: Snapshot | DashboardReply): value is DashboardReply {
  return 'status' in value;
}

async function history({ query, history: kept }: Call): Promise<DashboardReply> {
  return json(200, kept.last(wholeFrom(query, 'seconds', 300, SECONDS_MAX)));
}

async function buckets({ run, query }: Call): Promise<DashboardReply> {
  return replyTo(await run(bucketsCommand(query)));
}

async function onBucket(
  { run, params }: Call,
  kind: 'bucket' | 'bucket-rule' | 'purge' | 'pause' | 'resume',
): Promise<DashboardReply> {
  return begun(await run({ kind, id: params.id! }), kind);
}

async function onBackup(
  run: RunCommand,
  kind: 'backup-state' | 'backup-cancel',
): Promise<DashboardReply> {
  return replyTo(await run({ kind }));
}

// It goes on in the background: whoever asks sees how far it is.
async function backup({ run, query }: Call): Promise<DashboardReply> {
  const into = query.get('into') ?? '';
  if (into.length > PATH_MAX) throw new QueryError('that path is too long');
  return replyTo(await run({ kind: 'backup', into }), 202);
}

async function peek({ run, params, query }: Call): Promise<DashboardReply> {
  return replyTo(await run(peekCommand(params.id!, query)));
}

async function list(
  { run, query }: Call,
  kind: 'connections' | 'segments' | 'rules',
): Promise<DashboardReply> {
  const limit = wholeFrom(query, 'limit', LIMIT_USUAL, ROWS_MAX);
  return replyTo(await run({ kind, limit, cursor: query.get('cursor') ?? undefined }));
}

async function rule({ run, params }: Call): Promise<DashboardReply> {
  return ruleReply(await run({ kind: 'rule', name: params.name! }));
}

async function setRule({ run, params, query, conditions }: Call): Promise<DashboardReply> {
  return ruleReply(await run(ruleToSet(params.name!, query, conditions)));
}

async function removeRule({ run, params, query, conditions }: Call): Promise<DashboardReply> {
  return replyTo(await run(ruleToRemove(params.name!, query, conditions)));
}

// The version of a rule is its ETag.
function ruleReply(outcome: Outcome): DashboardReply {
  const answer = replyTo(outcome);
  const { version } = outcome.ok ? (outcome.result as Partial<RuleRow>) : {};
  if (version !== undefined) answer.headers.etag = `"${version}"`;
  return answer;
}

async function close({ run, params }: Call): Promise<DashboardReply> {
  const id = params.id!;
  if (!/^\d{1,15}$/.test(id))
    throw new QueryError(`"${shown(id)}" is no connection: give the number from the list`);
  return replyTo(await run({ kind: 'close', connection: Number(id) }));
}
