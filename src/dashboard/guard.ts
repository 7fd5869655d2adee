// Who may ask the dashboard for what: host names that are ours, no other origin, the token where
// one is set, and changes only from whoever can set a header of ours. Decides before any route is
// looked at, for requests and upgrades alike.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { type DashboardReply, type DashboardRequest, problem } from './http.ts';

export interface GuardOptions {
  /** Bound address. */
  host: string;
  allowedHosts: readonly string[];
  token?: string | undefined;
  readOnly?: boolean | undefined;
}

/** Why a request is refused, or undefined. `isOpen`: no secret of the broker is in the answer. */
export type Guard = (request: DashboardRequest, isOpen: boolean) => DashboardReply | undefined;

/** Makes the guard of one dashboard. */
export function createGuard({ host, allowedHosts, token, readOnly }: GuardOptions): Guard {
  const isOurs = hostCheck(host, allowedHosts);
  const isKnown = tokenCheck(token);
  return (request, isOpen) => {
    // First of all, also for paths that do not exist: a page of another origin whose name was
    // pointed at this address must learn nothing.
    if (!isOurs(request.host))
      return problem(421, 'this host name is not served here; see --dashboard-allow-host');
    if (!isSameOrigin(request))
      return problem(403, 'pages of another origin may not use this dashboard', 'foreign-origin');
    if (!isOpen && !isKnown(request.authorization)) return unauthorized();
    const method = request.method.toUpperCase();
    if (method === 'GET' || method === 'HEAD') return undefined;
    if (readOnly) return problem(403, 'the dashboard is read-only here', 'read-only');
    const hasToken = token !== undefined && isBearer(request.authorization);
    if (request.action !== '1' && !hasToken)
      return problem(403, 'a change needs the header X-ThrustMQ-Request: 1', 'header-missing');
    return undefined;
  };
}

function unauthorized(): DashboardReply {
  const refusal = problem(
    401,
    'this needs the token of the dashboard: Authorization: Bearer TOKEN',
  );
  // A browser asks its user for a password, which is the token; any name will do.
  refusal.headers['www-authenticate'] = 'Basic realm="ThrustMQ", charset="UTF-8"';
  return refusal;
}

function isBearer(authorization: string | undefined): boolean {
  return /^bearer /i.test(authorization ?? '');
}

// A request without Origin comes from no page, or is a plain navigation to ours.
function isSameOrigin({ origin, host }: DashboardRequest): boolean {
  if (origin === undefined) return true;
  const match = /^https?:\/\/([^/]+)$/i.exec(origin);
  return match !== null && match[1]!.toLowerCase() === host?.toLowerCase();
}

function tokenCheck(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const wanted = digest(token);
  return (authorization) => {
    const [, scheme, text] = /^(bearer|basic) +(\S{1,1024})$/i.exec(authorization ?? '') ?? [];
    if (scheme === undefined || text === undefined) return false;
    const isBasic = scheme.toLowerCase() === 'basic';
    const plain = isBasic
      ? Buffer.from(text, 'base64')
          .toString()
          .replace(/^[^:]*:/, '')
      : text;
    return timingSafeEqual(digest(plain), wanted);
  };
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
