// Requests and replies of the dashboard as plain values, and the headers that every reply carries.

export interface DashboardRequest {
  /** As sent; upper or lower case. */
  method: string;
  /** Request target as sent, query included. */
  url: string;
  /** Host header, or undefined without one. */
  host: string | undefined;
  /** The request announces a body of any size. */
  hasBody: boolean;
  /** A header of ONCE that came more than once. */
  repeated?: string | undefined;
  /** Origin header. */
  origin?: string | undefined;
  /** Authorization header. */
  authorization?: string | undefined;
  /** X-ThrustMQ-Request header, which a page of another origin cannot send. */
  action?: string | undefined;
  /** Accept-Encoding header. */
  acceptEncoding?: string | undefined;
  /** If-None-Match header. */
  ifNoneMatch?: string | undefined;
  /** If-Match header. */
  ifMatch?: string | undefined;
}

/** Headers that decide something: a second one would be read differently here and in a proxy. */
const ONCE = [
  'host',
  'content-length',
  'origin',
  'authorization',
  'x-thrustmq-request',
  'if-match',
  'if-none-match',
];

/** The first header of ONCE that is more than once among these names, which are in lower case. */
export function repeatedHeader(names: readonly string[]): string | undefined {
  return ONCE.find((name) => names.indexOf(name) !== names.lastIndexOf(name));
}

/** What follows the head may not be what it says, or is not read: no second request after it. */
export function mustClose({ hasBody, repeated }: DashboardRequest): boolean {
  return hasBody || repeated !== undefined;
}

export interface DashboardReply {
  status: number;
  headers: Record<string, string>;
  /** To be left out of a reply to HEAD, but counted. */
  body: string;
  /** To be sent in place of `body` where it is there. */
  bytes?: Uint8Array;
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
  202: 'Accepted',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
};

/** Codes of problems by status, where a reply says nothing more exact. */
const CODES: Record<number, string> = {
  400: 'bad-request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  409: 'conflict',
  412: 'changed',
  413: 'body-not-allowed',
  421: 'unknown-host',
  426: 'upgrade-required',
  429: 'too-many',
  500: 'failed',
  503: 'unavailable',
  507: 'no-space',
};

export function reply(status: number, type: string, body: string): DashboardReply {
  return { status, headers: { ...SECURITY_HEADERS, 'content-type': type }, body };
}

export function json(status: number, value: unknown): DashboardReply {
  return reply(status, 'application/json', `${JSON.stringify(value)}\n`);
}

/**
 * An error as RFC 9457 describes it; `code` is stable and for programs, `at` the part of what was
 * asked that is wrong.
 */
export function problem(
  status: number,
  detail: string,
  code = CODES[status],
  at?: string,
): DashboardReply {
  const title = REASONS[status] ?? 'Error';
  const where = at === undefined ? {} : { at };
  const body = { type: 'about:blank', title, status, code, detail, ...where };
  return reply(status, 'application/problem+json', `${JSON.stringify(body)}\n`);
}

/** Status line text for transports that have to write it themselves. */
export function statusLine(status: number): string {
  return `${status} ${REASONS[status] ?? 'OK'}`;
}
