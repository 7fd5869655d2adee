// The dashboard over uWebSockets.js, the only file that loads it. The addon ends its process,
// uncatchably, when a handler returns without a reply and without an abort handler: every handler
// here attaches one first, and the process is the dashboard's own.

import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { type DashboardReply, type DashboardRequest, type Router, statusLine } from './routes.ts';
import { ListenError, type Listening, type ListenOptions } from './transport.ts';

type Uws = typeof import('uWebSockets.js');

/** Loads the addon, or says in a sentence why it cannot be used here. */
export async function loadUws(): Promise<Uws | string> {
  try {
    const module = (await import('uWebSockets.js')) as unknown as { default?: Uws } & Uws;
    const uws = module.default ?? module;
    // npm may satisfy the alias with another package of that name.
    if (typeof uws.App !== 'function') return 'the installed uWebSockets.js is another package';
    return uws;
  } catch (error) {
    const lines = String((error as Error).message).split('\n');
    return lines.filter((line) => line.trim() !== '').at(-1) ?? 'unknown cause';
  }
}

/**
 * Listens with uWebSockets.js.
 * @throws ListenError
 */
export function listenUws(uws: Uws, { host, port, router }: ListenOptions): Promise<Listening> {
  const app = uws.App();
  app.any('/*', (response, request) => serve(router, response, request));
  return new Promise((resolve, reject) => {
    const done = (token: unknown): void => {
      if (token) {
        const bound = uws.us_socket_local_port(token as never);
        resolve({ port: bound, close: () => void app.close() });
      } else {
        app.close();
        reject(new ListenError('EADDRINUSE', `cannot listen on ${host}:${port}`));
      }
    };
    listenExclusively(app, uws, { host, port }, done);
  });
}

/** The typings lack the form with host and options together, which the addon takes. */
function listenExclusively(
  app: TemplatedApp,
  uws: Uws,
  address: { host: string; port: number },
  done: (token: unknown) => void,
): void {
  const exclusive = (uws as unknown as Record<string, number>).LIBUS_LISTEN_EXCLUSIVE_PORT;
  const listen = app.listen as unknown as (...args: unknown[]) => void;
  listen.call(app, address.host, address.port, exclusive, done);
}

function serve(router: Router, response: HttpResponse, request: HttpRequest): void {
  let aborted = false;
  response.onAborted(() => {
    aborted = true;
  });
  // The request object is gone after this line; everything needed has been copied out of it.
  const { hasBody, ...head } = requestOf(request);
  void router({ ...head, hasBody }).then((reply) => {
    if (aborted) return;
    response.cork(() => write(response, reply, head.method.toUpperCase() === 'HEAD', hasBody));
  });
}

function requestOf(request: HttpRequest): DashboardRequest {
  const query = request.getQuery();
  const header = (name: string) => request.getHeader(name) || undefined;
  const length = header('content-length');
  return {
    method: request.getMethod(),
    url: query ? `${request.getUrl()}?${query}` : request.getUrl(),
    host: header('host'),
    hasBody: (length ?? '0') !== '0' || header('transfer-encoding') !== undefined,
    origin: header('origin'),
    authorization: header('authorization'),
    action: header('x-thrustmq-request'),
  };
}

function write(
  response: HttpResponse,
  reply: DashboardReply,
  headOnly: boolean,
  close: boolean,
): void {
  response.writeStatus(statusLine(reply.status));
  for (const [name, value] of Object.entries(reply.headers)) response.writeHeader(name, value);
  if (close) response.writeHeader('connection', 'close');
  if (headOnly) response.endWithoutBody(Buffer.byteLength(reply.body), close);
  else response.end(reply.body, close);
}
