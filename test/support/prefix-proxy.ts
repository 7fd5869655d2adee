// A reverse proxy that serves an application below a path, as nginx or an ingress would: it takes
// the prefix off, asks with a Host of its own, and passes upgrades on.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface PrefixProxy {
  port: number;
  /** Paths that were asked for and are not below the prefix. */
  strays: string[];
  /** Where requests go from now on. */
  upstream(port: number): void;
  close(): void;
}

/** Listens on a free port of 127.0.0.1; `prefix` begins with a slash and does not end with one. */
export async function startPrefixProxy(prefix: string): Promise<PrefixProxy> {
  let upstreamPort = 0;
  const strays: string[] = [];
  const ask = (request: http.IncomingMessage): http.ClientRequest | undefined => {
    const url = request.url ?? '';
    // Without its slash, too, as those do that take a prefix off wherever they find it.
    if (url !== prefix && !url.startsWith(`${prefix}/`)) {
      strays.push(url);
      return undefined;
    }
    return http.request({
      host: '127.0.0.1',
      port: upstreamPort,
      method: request.method,
      path: url.slice(prefix.length) || '/',
      headers: { ...request.headers, host: `127.0.0.1:${upstreamPort}` },
    });
  };
  const server = http.createServer((request, response) => {
    const upstream = ask(request);
    if (upstream === undefined) {
      response.writeHead(404).end('another application');
      return;
    }
    upstream.on('response', (reply) => {
      response.writeHead(reply.statusCode!, reply.headers);
      reply.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
  server.on('upgrade', (request, socket) => {
    const upstream = ask(request);
    if (upstream === undefined) socket.destroy();
    else passUpgrade(upstream, socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    strays,
    upstream: (port) => {
      upstreamPort = port;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function passUpgrade(upstream: http.ClientRequest, socket: Duplex): void {
  socket.on('error', () => upstream.destroy());
  upstream.on('error', () => socket.destroy());
  upstream.on('response', () => socket.destroy());
  upstream.on('upgrade', (reply, other, head) => {
    const lines = reply.rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
    socket.write(head);
    other.pipe(socket).pipe(other);
    other.on('error', () => socket.destroy());
    other.on('close', () => socket.destroy());
    socket.on('close', () => other.destroy());
  });
  upstream.end();
}
