// The dashboard over node:http: the transport that works everywhere. Only moves requests to the
// router and replies back.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DashboardReply, DashboardRequest, Router } from './routes.ts';
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
export function listenNode({ host, port, router }: ListenOptions): Promise<Listening> {
  const server = http.createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      // The router answers a missing Host like any other that is not ours.
      requireHostHeader: false,
    },
    (request, response) => void serve(router, request, response),
  );
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
          server.closeAllConnections();
        },
      });
    });
  });
}

async function serve(
  router: Router,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  response.on('error', () => {});
  const { hasBody, ...head } = requestOf(request);
  const reply = await router({ ...head, hasBody });
  write(response, reply, head.method === 'HEAD', hasBody);
  // A body that nobody asked for is not read to its end: the connection goes with the reply.
  if (hasBody) response.on('finish', () => request.socket.destroySoon());
}

function requestOf(request: http.IncomingMessage): DashboardRequest {
  const { 'content-length': length, 'transfer-encoding': coding, ...headers } = request.headers;
  const { host, origin, authorization, 'x-thrustmq-request': action } = headers;
  const hasBody = (length !== undefined && length !== '0') || coding !== undefined;
  const { method = '', url = '' } = request;
  return { method, url, host, hasBody, origin, authorization, action: action?.toString() };
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
    'content-length': Buffer.byteLength(reply.body),
    ...(close ? { connection: 'close' } : {}),
  });
  response.end(headOnly ? undefined : reply.body);
}
