// The dashboard over uWebSockets.js, the only file that loads it. The addon ends its process,
// uncatchably, when a handler returns without a reply and without an abort handler: every handler
// here attaches one first, and the process is the dashboard's own.

import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_socket_context_t,
  WebSocket,
} from 'uWebSockets.js';
import net from 'node:net';
import { promisify } from 'node:util';
import {
  type DashboardReply,
  type DashboardRequest,
  mustClose,
  repeatedHeader,
  statusLine,
} from './http.ts';
import { type Follower, type Live, MESSAGE_BYTES_MAX, PROTOCOL } from './live.ts';
import { LIVE_PATH, type Router } from './routes.ts';
import { ListenError, type Listening, type ListenOptions } from './transport.ts';

type Uws = typeof import('uWebSockets.js');

// A page that stopped reading altogether; the hub skips it long before.
const BACKPRESSURE_BYTES_MAX = 1024 * 1024;
const IDLE_S = 60;

/** Loads the addon, or says in a sentence why it cannot be used here. */
export async function loadUws(): Promise<Uws | string> {
  try {
    const module = (await import('uWebSockets.js')) as unknown as { default?: Uws } & Uws;
    const uws = module.default ?? module;
    // npm may satisfy the alias with another package of that name.
    if (typeof uws.App !== 'function') return 'the installed uWebSockets.js is another package';
    return uws;
  } catch (error) {
    return whyNotLoaded(String((error as Error).message));
  }
}

/**
 * The cause in what its loader says: a sentence about Node.js versions, the same for every cause,
 * an empty line, the cause, and perhaps lines with whose `require` it was.
 */
export function whyNotLoaded(message: string): string {
  const [cause = ''] = message
    .trim()
    .split(/\n\s*\n/)
    .at(-1)!
    .split('\n');
  const [, binary] = /Cannot find module '\.\/(uws_\S+\.node)'/.exec(cause) ?? [];
  if (binary === undefined) return cause.replace(/^Error: /, '') || 'unknown cause';
  return `it brings no ${binary}, which Node.js ${process.versions.node} needs`;
}

/**
 * Listens with uWebSockets.js.
 * @throws ListenError
 */
export async function listenUws(uws: Uws, options: ListenOptions): Promise<Listening> {
  const { host, router, live } = options;
  const port = options.port === 0 ? await freePort(host) : options.port;
  const app = uws.App();
  listenLive(app, live, router);
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

/**
 * A port that nobody uses now. The addon lets a port be used again soon after its process was
 * killed, but only where it was given the number: 0 would cost a page its address in a restart.
 */
function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ListenError(error.code ?? 'UNKNOWN', error.message)),
    );
    server.listen({ host, port: 0, exclusive: true }, () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

interface Page {
  follower?: Follower;
}

function listenLive(app: TemplatedApp, live: Live, router: Router): void {
  app.ws<Page>(LIVE_PATH, {
    maxPayloadLength: MESSAGE_BYTES_MAX,
    maxBackpressure: BACKPRESSURE_BYTES_MAX,
    closeOnBackpressureLimit: 1,
    idleTimeout: IDLE_S,
    upgrade: (response, request, context) => upgrade(live, router, response, request, context),
    open: (page: WebSocket<Page>) => {
      page.getUserData().follower = live.open({
        send: (text) => void page.send(text),
        queuedBytes: () => page.getBufferedAmount(),
        close: () => page.close(),
      });
    },
    message: (page, data, isBinary) => {
      if (!isBinary) page.getUserData().follower?.message(Buffer.from(data).toString());
    },
    close: (page) => page.getUserData().follower?.closed(),
  });
}

function upgrade(
  live: Live,
  router: Router,
  response: HttpResponse,
  request: HttpRequest,
  context: us_socket_context_t,
): void {
  const header = (name: string) => request.getHeader(name);
  const protocols = header('sec-websocket-protocol');
  const key = header('sec-websocket-key');
  const head = requestOf(request);
  if (key === '' || mustClose(head)) {
    serve(router, response, request);
    return;
  }
  const refusal = live.refusal(head, protocols);
  if (refusal !== undefined) {
    response.cork(() => write(response, refusal, false, true));
    return;
  }
  const offered = protocols.split(',').map((protocol) => protocol.trim());
  const chosen = offered.includes(PROTOCOL) ? PROTOCOL : '';
  response.upgrade<Page>({}, key, chosen, header('sec-websocket-extensions'), context);
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
  const head = requestOf(request);
  const isHead = head.method.toUpperCase() === 'HEAD';
  const close = mustClose(head);
  void router(head).then(async (reply) => {
    // Of a connection that is to be closed the addon goes on to read what has come. Only while a
    // reply is under way it drops the connection on meeting a further request there.
    if (close) await promisify(setImmediate)();
    if (aborted) return;
    response.cork(() => write(response, reply, isHead, close));
  });
}

function requestOf(request: HttpRequest): DashboardRequest {
  const query = request.getQuery();
  const header = (name: string) => request.getHeader(name) || undefined;
  const length = header('content-length');
  // All headers, one by one: asking for one by its name shows the first of that name only.
  const names: string[] = [];
  request.forEach((name) => {
    names.push(name);
  });
  return {
    method: request.getMethod(),
    url: query ? `${request.getUrl()}?${query}` : request.getUrl(),
    host: header('host'),
    hasBody: (length ?? '0') !== '0' || header('transfer-encoding') !== undefined,
    repeated: repeatedHeader(names),
    origin: names.includes('origin') ? request.getHeader('origin') : undefined,
    authorization: header('authorization'),
    action: header('x-thrustmq-request'),
    acceptEncoding: header('accept-encoding'),
    ifNoneMatch: header('if-none-match'),
    ifMatch: header('if-match'),
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
  const body = reply.bytes ?? reply.body;
  if (headOnly) response.endWithoutBody(Buffer.byteLength(body), close);
  else response.end(body, close);
}
