// What the dashboard answers: request line and Host header in, status, headers and body out. Knows
// no transport and no broker; must not throw, whatever the request holds.

import { isIP } from 'node:net';
import type { Answer, Check } from './messages.ts';
import { PAGE_STYLE, renderPage } from './page.ts';

export interface DashboardRequest {
  /** As sent; upper or lower case. */
  method: string;
  /** Request target as sent, query included. */
  url: string;
  /** Host header, or undefined without one. */
  host: string | undefined;
  /** The request announces a body of any size. */
  hasBody: boolean;
}

export interface DashboardReply {
  status: number;
  headers: Record<string, string>;
  /** To be left out of a reply to HEAD, but counted. */
  body: string;
}

/** Asks the broker; undefined when it has not answered within a second. */
export type Ask = () => Promise<Answer | undefined>;

export type Router = (request: DashboardRequest) => Promise<DashboardReply>;

export interface RouterOptions {
  ask: Ask;
  /** Bound address. */
  host: string;
  allowedHosts: readonly string[];
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SECURITY_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

type Handler = (ask: Ask, query: URLSearchParams) => Promise<DashboardReply>;

const ROUTES = new Map<string, Handler>([
  ['/', showPage],
  ['/page.css', async () => reply(200, 'text/css; charset=utf-8', PAGE_STYLE)],
  ['/dash', showSnapshot],
  ['/livez', (ask, query) => probe(ask, query, 'live')],
  ['/readyz', (ask, query) => probe(ask, query, 'ready')],
  ['/startupz', (ask, query) => probe(ask, query, 'started')],
]);

/** Makes the one function that all transports call. */
export function createRouter(options: RouterOptions): Router {
  const isAllowed = hostCheck(options.host, options.allowedHosts);
  return async (request) => {
    try {
      return await route(request, options.ask, isAllowed);
    } catch {
      return problem(500, 'the dashboard failed to answer');
    }
  };
}

async function route(
  request: DashboardRequest,
  ask: Ask,
  isAllowed: (host: string | undefined) => boolean,
): Promise<DashboardReply> {
  // First of all, also for paths that do not exist: a page of another origin whose name was
  // pointed at this address must learn nothing.
  if (!isAllowed(request.host))
    return problem(421, 'this host name is not served here; see --dashboard-allow-host');
  const method = request.method.toUpperCase();
  if (method !== 'GET' && method !== 'HEAD') {
    const refusal = problem(405, 'only GET and HEAD are served here');
    refusal.headers.allow = 'GET, HEAD';
    return refusal;
  }
  if (request.hasBody) return problem(413, 'requests have no body here');
  const mark = request.url.indexOf('?');
  const path = mark < 0 ? request.url : request.url.slice(0, mark);
  const handler = ROUTES.get(path);
  if (handler === undefined) return problem(404, 'there is no such page');
  return handler(ask, new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1)));
}

async function showPage(ask: Ask): Promise<DashboardReply> {
  const answer = await ask();
  return reply(answer?.snapshot ? 200 : 503, 'text/html; charset=utf-8', renderPage(answer));
}

async function showSnapshot(ask: Ask): Promise<DashboardReply> {
  const answer = await ask();
  if (answer === undefined) return problem(503, 'the broker does not answer');
  if (answer.snapshot === undefined) return problem(503, 'the broker is starting');
  return reply(200, 'application/json', JSON.stringify(answer.snapshot));
}

async function probe(
  ask: Ask,
  query: URLSearchParams,
  which: 'live' | 'ready' | 'started',
): Promise<DashboardReply> {
  const answer = await ask();
  const ok = answer?.health[which] === true;
  const status = ok ? 200 : 503;
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

function reply(status: number, type: string, body: string): DashboardReply {
  return { status, headers: { ...SECURITY_HEADERS, 'content-type': type }, body };
}

/** An error as RFC 9457 describes it. */
export function problem(status: number, detail: string): DashboardReply {
  const body = { type: 'about:blank', title: REASONS[status] ?? 'Error', status, detail };
  return reply(status, 'application/problem+json', `${JSON.stringify(body)}\n`);
}

/** Status line text for transports that have to write it themselves. */
export function statusLine(status: number): string {
  return `${status} ${REASONS[status] ?? 'OK'}`;
}

/**
 * Which Host headers are ours. A page that rebinds its own name to our address sends its name, so
 * names are taken from a list only; on a wildcard address any plain IP address is fine, because
 * nobody can rebind one.
 */
function hostCheck(bound: string, extra: readonly string[]): (host: string | undefined) => boolean {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...[bound, ...extra].map(plainHost)]);
  const wildcard = bound === '0.0.0.0' || bound === '::' || bound === '[::]';
  return (header) => {
    const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '');
    if (match === null) return false;
    const name = plainHost(match[1] ?? match[2]);
    return names.has(name) || (wildcard && isIP(name) !== 0);
  };
}

function plainHost(name: string): string {
  return name.toLowerCase().replace(/^\[|\]$/g, '');
}
