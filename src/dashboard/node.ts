// The dashboard over node:http: the transport that works everywhere. Only moves requests to the
// router and replies back.

import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type DashboardReply,
  type DashboardRequest,
  mustClose,
  problem,
  repeatedHeader,
  statusLine,
} from './http.ts';
import { type Live, MESSAGE_BYTES_MAX, PROTOCOL } from './live.ts';
import { LIVE_PATH, type Router } from './routes.ts';
import {
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  ListenError,
  type Listening,
  type ListenOptions,
  REQUEST_TIMEOUT_MS,
} from './transport.ts';

/**
 * Listens with node:http.
 * @throws ListenError
 */
export function listenNode({ host, port, router, live }: ListenOptions): Promise<Listening> {
  const server = http.createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      // The router answers a missing Host like any other that is not ours: HTTP/1.0 has none.
      requireHostHeader: false,
    },
    (request, response) => void serve(router, request, response),
  );
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      serveInstead(router, request, socket);
      return;
    }
    const refusal = upgradeRefusal(request, live);
    if (refusal !== undefined) refuse(socket, refusal);
    else sockets.handleUpgrade(request, socket, head, (page) => follow(page, live));
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ListenError(error.code ?? 'UNKNOWN', error.message)),
    );
    server.listen({ host, port, exclusive: true }, () => {
      server.on('error', () => {});
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () => {
          server.close();
          for (const page of sockets.clients) page.terminate();
          server.closeAllConnections();
        },
      });
    });
  });
}

/** Some clients offer HTTP/2 with each request (`Upgrade: h2c`): who cannot do that just answers. */
function serveInstead(router: Router, request: http.IncomingMessage, socket: Duplex): void {
  const response = new http.ServerResponse(request);
  response.assignSocket(socket as Socket);
  // What follows the head is not parsed any more.
  response.shouldKeepAlive = false;
  response.on('finish', () => socket.end());
  void serve(router, request, response);
}

function upgradeRefusal(request: http.IncomingMessage, live: Live): DashboardReply | undefined {
  const head = requestOf(request);
  if (head.url.split('?')[0] !== LIVE_PATH || head.method !== 'GET')
    return problem(404, `the only WebSocket is ${LIVE_PATH}`);
  return live.refusal(head, request.headers['sec-websocket-protocol']);
}

function refuse(socket: Duplex, { status, headers, body }: DashboardReply): void {
  const all = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${statusLine(status)}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}

function follow(page: WebSocket, live: Live): void {
  const follower = live.open({
    send: (text) => page.send(text, () => {}),
    queuedBytes: () => page.bufferedAmount,
    close: (code, reason) => {
      page.close(code, reason);
      page.terminate(); // who does not read does not answer a close either
    },
  });
  page.on('error', () => {});
  page.on('message', (data, isBinary) => {
    if (!isBinary) follower.message(String(data));
  });
  page.on('close', () => follower.closed());
}

async function serve(
  router: Router,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  response.on('error', () => {});
  const head = requestOf(request);
  const reply = await router(head);
  const close = mustClose(head);
  write(response, reply, head.method === 'HEAD', close);
  // A body that nobody asked for is not read to its end: the connection goes with the reply.
  if (close) response.on('finish', () => request.socket.destroySoon());
}

function requestOf(request: http.IncomingMessage): DashboardRequest {
  const { 'content-length': length, 'transfer-encoding': coding, ...headers } = request.headers;
  const { host, origin, authorization, 'x-thrustmq-request': action } = headers;
  const { 'accept-encoding': encoding, 'if-none-match': ifNoneMatch } = headers;
  const { 'if-match': ifMatch } = headers;
  const hasBody = (length !== undefined && length !== '0') || coding !== undefined;
  const { method = '', url = '' } = request;
  const names = request.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  return {
    method,
    url,
    host,
    hasBody,
    repeated: repeatedHeader(names),
    origin,
    authorization,
    action: action?.toString(),
    acceptEncoding: encoding?.toString(),
    ifNoneMatch,
    ifMatch,
  };
}

function write(
  response: http.ServerResponse,
  reply: DashboardReply,
  headOnly: boolean,
  close: boolean,
): void {
  if (response.destroyed) return;
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.bytes ?? reply.body),
    ...(close ? { connection: 'close' } : {}),
  });
  response.end(headOnly ? undefined : (reply.bytes ?? reply.body));
}
