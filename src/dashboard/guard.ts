// Who may ask the dashboard for what: host names that are ours, no other origin, the token where
// one is set, and changes only from whoever can set a header of ours. Decides before any route is
// looked at, for requests and upgrades alike.

import { createHash, timingSafeEqual } from 'node:crypto';
import { type DashboardReply, type DashboardRequest, problem } from './http.ts';
import { createPlaces } from './origin.ts';

export interface GuardOptions {
  /** Bound address. */
  host: string;
  /** NAME or NAME:PORT; each counts as Host and as Origin. */
  allowedHosts: readonly string[];
  token?: string | undefined;
  readOnly?: boolean | undefined;
}

/**
 * Who may have the answer: whoever knows the token; whoever may use the dashboard at all (`open`);
 * anybody, also by names that are not ours, because it says no more than yes or no (`probe`).
 */
export type Openness = 'closed' | 'open' | 'probe';

export interface Guard {
  /** Why a request is refused, or undefined. */
  refusal(request: DashboardRequest, openness: Openness): DashboardReply | undefined;
  /** Whether the Host header is a name of ours. */
  isOurs(host: string | undefined): boolean;
}

const FOREIGN =
  'pages of another origin may not use this dashboard; see --dashboard-allow-host for proxies';

/** Makes the guard of one dashboard. */
export function createGuard({ host, allowedHosts, token, readOnly }: GuardOptions): Guard {
  const { isOurs, isTrusted } = createPlaces(host, allowedHosts);
  const isKnown = tokenCheck(token);
  const refusal: Guard['refusal'] = (request, openness) => {
    const method = request.method.toUpperCase();
    const isRead = method === 'GET' || method === 'HEAD';
    if (request.repeated !== undefined)
      return problem(400, `the header ${request.repeated} may come only once`, 'header-repeated');
    // First of all, also for paths that do not exist: a page of another origin whose name was
    // pointed at this address must learn nothing.
    if (!(openness === 'probe' && isRead) && !isOurs(request.host))
      return problem(421, 'this host name is not served here; see --dashboard-allow-host');
    // A request without Origin comes from no page, or is a plain navigation to ours.
    if (request.origin !== undefined && !isTrusted(request.origin, request.host))
      return problem(403, FOREIGN, 'foreign-origin');
    if (openness === 'closed' && !isKnown(request.authorization)) return unauthorized();
    if (isRead) return undefined;
    if (readOnly) return problem(403, 'the dashboard is read-only here', 'read-only');
    const hasToken = token !== undefined && isBearer(request.authorization);
    if (request.action !== '1' && !hasToken)
      return problem(403, 'a change needs the header X-ThrustMQ-Request: 1', 'header-missing');
    return undefined;
  };
  return { refusal, isOurs };
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
