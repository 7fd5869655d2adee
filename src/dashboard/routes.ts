// What the dashboard answers: request line and headers in, status, headers and body out. Knows no
// transport and no broker; must not throw, whatever the request holds.

import type { BucketRow } from '../contract/commands.ts';
import { whyNoSnapshot } from './absent.ts';
import { answerApi, apiPatternOf } from './api.ts';
import { bucketMetricsText } from './bucket-metrics.ts';
import type { RunCommand } from './commander.ts';
import { createGuard, type Openness } from './guard.ts';
import { History } from './history.ts';
import { type DashboardReply, type DashboardRequest, problem, reply } from './http.ts';
import type { Answer, Check, ServedBy, Setting } from './messages.ts';
import { METRICS_TYPE, metricsText } from './metrics.ts';
import { PAGE_PATHS, Page } from './page.ts';
import { bucketsCommand } from './queries.ts';

export type { DashboardReply, DashboardRequest } from './http.ts';
export { problem, statusLine } from './http.ts';

/** Asks the broker; undefined when it has not answered within a second. */
export type Ask = () => Promise<Answer | undefined>;

export type Router = (request: DashboardRequest) => Promise<DashboardReply>;

export interface RouterOptions {
  ask: Ask;
  /** Bound address. */
  host: string;
  allowedHosts: readonly string[];
  token?: string | undefined;
  readOnly?: boolean | undefined;
  /** Carries out a command of the broker's. */
  run?: RunCommand;
  history?: History;
  /** The files of the page; read from the build where it is not given. */
  page?: Page;
  settings?: readonly Setting[] | undefined;
  /** What the requests come through, once that is known. */
  servedBy?: () => ServedBy | undefined;
}

interface Call {
  ask: Ask;
  run: RunCommand;
  query: URLSearchParams;
  requests: Requests;
  page: Page;
  request: DashboardRequest;
  path: string;
  /** Whoever asks uses a name of ours; else it may be a page that rebound its own. */
  isOurs: boolean;
}

type Handler = (call: Call) => Promise<DashboardReply>;
type Requests = Map<string, { route: string; code: number; count: number }>;

/** Where pages push and pull over one socket; plain requests are told so. */
export const LIVE_PATH = '/api/v1/live';
const API_PREFIX = '/api/v1/';
const TOP_USUAL = '50';

const ROUTES = new Map<string, Handler>([
  ...PAGE_PATHS.map((path): [string, Handler] => [path, showPage]),
  ['/dash', showSnapshot],
  ['/metrics', showMetrics],
  ['/metrics/buckets', showBucketMetrics],
  ['/livez', (call) => probe(call, 'live')],
  ['/readyz', (call) => probe(call, 'ready')],
  ['/startupz', (call) => probe(call, 'started')],
]);

/** Answered without a token: what an orchestrator asks, and what holds nothing of the broker. */
const OPEN = new Map<string, Openness>([
  ['/livez', 'probe'],
  ['/readyz', 'probe'],
  ['/startupz', 'probe'],
  ...PAGE_PATHS.filter((path) => path !== '/').map((path): [string, Openness] => [path, 'open']),
]);

/** Makes the one function that all transports call. */
export function createRouter(options: RouterOptions): Router {
  const guard = createGuard(options);
  const { ask, history = new History(), readOnly = false, settings = [] } = options;
  const run: RunCommand = options.run ?? (async () => NO_COMMANDS);
  const servedBy = options.servedBy ?? (() => undefined);
  const api = { ask, run, history, readOnly, settings, servedBy };
  const requests: Requests = new Map();
  const page = options.page ?? new Page();

  const route = async (request: DashboardRequest, path: string): Promise<DashboardReply> => {
    const refusal = guard.refusal(request, OPEN.get(path) ?? 'closed');
    const method = request.method.toUpperCase();
    const query = new URLSearchParams(request.url.slice(path.length + 1));
    const isApi = path.startsWith(API_PREFIX);
    // A method that no route takes is the plainer thing to say, and says nothing of the broker.
    const isChange = method !== 'GET' && method !== 'HEAD';
    if (isChange && !isApi && (refusal === undefined || refusal.status === 403)) {
      const plain = problem(405, 'only GET and HEAD are served here');
      plain.headers.allow = 'GET, HEAD';
      return plain;
    }
    if (refusal !== undefined) return refusal;
    if (request.hasBody) return problem(413, 'requests have no body here');
    if (path === LIVE_PATH) return problem(426, `${LIVE_PATH} is a WebSocket: ask for an upgrade`);
    if (isApi) return answerApi(method, path, query, api, request);
    const handler = ROUTES.get(path);
    if (handler === undefined) return problem(404, 'there is no such page');
    const isOurs = guard.isOurs(request.host);
    return handler({ ask, run, query, requests, page, request, path, isOurs });
  };

  return async (request) => {
    const mark = request.url.indexOf('?');
    const path = mark < 0 ? request.url : request.url.slice(0, mark);
    let answer: DashboardReply;
    try {
      answer = await route(request, path);
    } catch {
      answer = problem(500, 'the dashboard failed to answer');
    }
    count(requests, path, answer.status);
    return answer;
  };
}

const NO_COMMANDS = {
  ok: false,
  code: 'stopping',
  detail: 'the broker takes no commands',
} as const;

// By pattern, never by path: whoever asks cannot make up series.
function count(requests: Requests, path: string, code: number): void {
  const known = ROUTES.has(path) || path === LIVE_PATH;
  const route = known ? path : (apiPatternOf(path) ?? 'other');
  const key = `${route} ${code}`;
  const entry = requests.get(key);
  if (entry === undefined) requests.set(key, { route, code, count: 1 });
  else entry.count++;
}

const UNTOLD = `not ok
why is told to host names that are served here: see --dashboard-allow-host
`;

async function showPage({ page, request, path }: Call): Promise<DashboardReply> {
  return page.answer(path, request);
}

async function showSnapshot({ ask }: Call): Promise<DashboardReply> {
  const answer = await ask();
  if (answer?.snapshot === undefined) return whyNoSnapshot(answer);
  return reply(200, 'application/json', JSON.stringify(answer.snapshot));
}

async function showMetrics({ ask, requests }: Call): Promise<DashboardReply> {
  return reply(200, METRICS_TYPE, metricsText(await ask(), requests));
}

async function showBucketMetrics({ run, query }: Call): Promise<DashboardReply> {
  const wanted = new URLSearchParams({ limit: query.get('top') ?? TOP_USUAL });
  const sort = query.get('sort');
  if (sort !== null) wanted.set('sort', sort);
  let command: ReturnType<typeof bucketsCommand>;
  try {
    command = bucketsCommand(wanted);
  } catch (error) {
    return problem(400, (error as Error).message.replace('limit', 'top'));
  }
  const outcome = await run(command);
  if (!outcome.ok) return problem(503, outcome.detail, outcome.code);
  const { buckets } = outcome.result as { buckets: BucketRow[] };
  return reply(200, METRICS_TYPE, bucketMetricsText(buckets));
}

// Health checks come with any Host, or none; to a name that is not ours the answer is yes or no.
async function probe(
  { ask, query, isOurs }: Call,
  which: 'live' | 'ready' | 'started',
): Promise<DashboardReply> {
  const answer = await ask();
  const ok = answer?.health[which] === true;
  const status = ok ? 200 : 503;
  if (!isOurs) return reply(status, 'text/plain; charset=utf-8', ok ? 'ok\n' : UNTOLD);
  const checks: Record<string, Check> = answer?.health.checks ?? {
    broker: { ok: false, detail: 'no answer within a second' },
  };
  if (query.has('verbose') && query.get('verbose') !== '0')
    return reply(
      status,
      'application/json',
      JSON.stringify({ ok, checks, progress: answer?.health.progress }),
    );
  if (ok) return reply(status, 'text/plain; charset=utf-8', 'ok\n');
  const reasons = Object.entries(checks).filter(([, check]) => !check.ok);
  const lines = reasons.map(([name, check]) => `${name}: ${check.detail}`);
  return reply(status, 'text/plain; charset=utf-8', `${['not ok', ...lines].join('\n')}\n`);
}
