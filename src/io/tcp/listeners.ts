// The broker's data listeners: accept connections, as bare handles where Node has them, and keep those
// that are open until the end.

import net from 'node:net';
import { deadline } from '../../time/deadline.ts';
import { cancel, sleep } from '../../time/timers.ts';
import { KEEP_ALIVE_MS, type Listening, type ListenOptions, SocketLink } from './link.ts';
import { isUsable, type RawHandle, rawServerOf } from './raw-handle.ts';

/** A client of another node. */
export interface PassedOn {
  address: string;
  port: number;
  /** The node's name. */
  node: string;
}

/** The data listeners of a broker. */
export class Listeners {
  readonly #servers: net.Server[] = [];
  readonly #links = new Set<SocketLink>();

  get links(): ReadonlySet<SocketLink> {
    return this.#links;
  }

  /** Listens; rejects with what the system said, for example that the port is taken. */
  listen(options: ListenOptions): Promise<net.AddressInfo> {
    const server = net.createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
        pauseOnConnect: true,
      },
      (socket) => this.#acceptSocket(socket, { ...options, links: this.#links }),
    );
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      const { host, port } = options;
      server.listen({ host, port, exclusive: true, backlog: 4096 }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // a failed accept costs that connection, nothing else
        const address = server.address() as net.AddressInfo;
        this.#takeRaw(server, { ...options, port: address.port, links: this.#links });
        resolve(address);
      });
    });
  }

  #takeRaw(server: net.Server, listening: Listening): void {
    const raw = rawServerOf(server);
    if (raw === undefined) return;
    const usual = raw.onconnection!;
    raw.onconnection = (status, handle) => {
      if (status === 0 && handle !== undefined && isUsable(handle))
        this.#acceptRaw(handle, listening);
      else usual.call(raw, status, handle);
    };
  }

  #acceptRaw(handle: RawHandle, listening: Listening): void {
    const name: { address?: string; port?: number } = {};
    // Fails if it was reset before we got to it.
    const failed = handle.getpeername(name) !== 0 || name.address === undefined;
    const peer = {
      localPort: listening.port,
      remoteAddress: name.address ?? '',
      remotePort: name.port ?? 0,
    };
    const link = failed ? undefined : new SocketLink(peer, listening);
    const session = link && listening.accept(link);
    if (link === undefined || session === undefined) handle.close();
    else link.openBare(session, handle);
  }

  #acceptSocket(socket: net.Socket, listening: Listening): void {
    // From the first tick on: a socket error without a listener would end the process.
    socket.on('error', () => {});
    const { remoteAddress, remotePort = 0, localPort = 0 } = socket;
    if (remoteAddress === undefined) {
      socket.destroy(); // reset before we got to it
      return;
    }
    this.#open(
      socket,
      new SocketLink({ localPort, remoteAddress, remotePort }, listening),
      listening,
    );
  }

  #open(socket: net.Socket, link: SocketLink, listening: Listening): void {
    const session = listening.accept(link);
    if (session === undefined) {
      socket.destroy();
      return;
    }
    socket.on('data', (chunk) => link.receive(chunk));
    link.openSocket(session, socket);
  }

  /** Takes a client that another node passes on, over this socket, which is paused. */
  adopt(socket: net.Socket, client: PassedOn, options: Omit<ListenOptions, 'host' | 'port'>): void {
    const { remoteAddress, remotePort = 0, localPort = 0 } = socket;
    if (remoteAddress === undefined) {
      socket.destroy(); // reset by now
      return;
    }
    const { address, port, node } = client;
    const via = { node, remoteAddress, remotePort };
    const listening = { ...options, host: '', port: localPort, links: this.#links };
    const name = { localPort, remoteAddress: address, remotePort: port, via };
    this.#open(socket, new SocketLink(name, listening), listening);
  }

  /** Stops accepting; open connections stay. */
  stop(): void {
    for (const server of this.#servers) server.close();
  }

  /** Disconnects everybody at once. */
  destroyAll(): void {
    for (const link of this.#links) link.destroy();
  }

  /** Sends what is queued, then disconnects; settles when all are gone or the time is up. */
  async endAll(withinMs: number): Promise<void> {
    for (const link of this.#links) link.end();
    let late = false;
    const timer = deadline(withinMs, () => {
      late = true;
    });
    while (this.#links.size > 0 && !late) await sleep(10);
    cancel(timer);
    this.destroyAll();
  }
}
