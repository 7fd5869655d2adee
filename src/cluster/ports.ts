// The ports of a node: those of clients, which go to the broker here or are passed on to the owner,
// and the one of other nodes, which bring their clients when this node owns the log.

import { readFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { INBOX_READ_BYTES } from '../../assembly/layout.ts';
import type { ClusterConfig } from '../config/cluster.ts';
import type { BrokerConfig } from '../config/load.ts';
import type { NodeStatus } from '../contract/cluster.ts';
import type { Command, Outcome } from '../contract/commands.ts';
import type { SeenNode } from '../contract/orders.ts';
import type { Side } from '../contract/snapshot.ts';
import type { Session } from '../core/connections/session.ts';
import type { Limits } from '../core/limits.ts';
import type { Link } from '../core/ports/link.ts';
import type { HostPort } from '../core/text/address.ts';
import { StartError } from '../data-folder.ts';
import { type Addresses, cannotListen, type Door, openDoors } from '../doors.ts';
import type { Relay } from '../io/cluster/jetstream.ts';
import { type NodeCertificates, NodeListener, type Notice } from '../io/cluster/node-listener.ts';
import { NodeToken } from '../io/cluster/node-token.ts';
import { Nodes } from '../io/cluster/nodes.ts';
import { OrderClient } from '../io/cluster/order-client.ts';
import { OrderServer } from '../io/cluster/order-server.ts';
import type { Preamble } from '../io/cluster/preamble.ts';
import { RelayClient } from '../io/cluster/relay-client.ts';
import { RelayServer } from '../io/cluster/relay-server.ts';
import { Splicer } from '../io/cluster/splicer.ts';
import { Listeners } from '../io/tcp/listeners.ts';

/** Half of what clients may have under way is for those of other nodes. */
const SPLICED_SHARE = 0.5;

export interface NodePortsOptions {
  config: BrokerConfig;
  cluster: ClusterConfig;
  limits: Limits;
  /** LOG_ID, unsigned. */
  logId: bigint;
  /** The largest message that the servers of the stream take, in bytes. */
  maxPayload: number;
  /** Where all sockets of clients read into. */
  inbox: Uint8Array;
  /** What the broker here does with a client of a side; undefined: it takes none now, or another
   * node owns the log. Such clients are held until one takes them. */
  accept: (side: Side) => ((link: Link) => Session | undefined) | undefined;
  /** Carries out a command that another node passes on; the broker is here. */
  carryOut: (command: Command, done: (outcome: Outcome) => void) => void;
  /** How this node is. */
  status: () => NodeStatus;
  notice: Notice;
}

export class NodePorts {
  readonly listeners = new Listeners();
  readonly addresses: Addresses = { intake: [], exhaust: [] };
  readonly splicer: Splicer;
  readonly orders: OrderClient;
  /** Between the owner's stream and those of the nodes that follow. */
  readonly relay: Relay;
  readonly #options: NodePortsOptions;
  readonly #nodes: NodeListener;
  readonly #orders: OrderServer;
  readonly #relayServer: RelayServer;
  readonly #relayClient: RelayClient;
  readonly #heard: Nodes;
  // As the owner said last, and when.
  #told: SeenNode[] = [];
  #toldMs = 0;
  readonly #readInto: Uint8Array;
  #own: AddressInfo | undefined;
  #isHere = false;

  /** @throws StartError 78 where this node could not say who it is. */
  constructor(options: NodePortsOptions) {
    const { cluster, limits, notice, inbox, logId, maxPayload } = options;
    this.#options = options;
    this.#readInto = inbox.subarray(inbox.length - INBOX_READ_BYTES);
    const proofs = proofsOf(cluster);
    const who = { cluster: cluster.name, node: String(cluster.node), ...proofs };
    const isOwner = (side: Side = 'intake') => options.accept(side) !== undefined;
    this.splicer = new Splicer({
      ...who,
      limits,
      bytesMax: Math.floor(limits.bufferBytesMax * SPLICED_SHARE),
      nowMs: () => performance.now(),
      notice,
    });
    this.orders = new OrderClient({
      ...who,
      status: options.status,
      heard: (nodes) => {
        this.#told = nodes;
        this.#toldMs = performance.now();
      },
      notice,
    });
    this.#relayServer = new RelayServer({ notice });
    this.#relayClient = new RelayClient({ ...who, logId, bytesMax: maxPayload, notice });
    this.relay = {
      stored: (sequence, bytes) => this.#relayServer.stored(sequence, bytes),
      source: this.#relayClient,
    };
    this.#heard = new Nodes(notice);
    this.#orders = new OrderServer({
      isOwner: () => isOwner(),
      carryOut: options.carryOut,
      heard: (status) => {
        this.#heard.heard(status, performance.now());
        return this.nodes();
      },
      notice,
    });
    this.#nodes = new NodeListener({
      ...cluster.listen,
      cluster: cluster.name,
      logId,
      ...proofs,
      connectionsMax: limits.connectionsMax,
      isOwner,
      adopt: (socket, client) => this.#adopt(socket, client),
      orders: (socket, from) => this.#orders.adopt(socket, from),
      follows: (socket, from) => this.#relayServer.adopt(socket, from),
      notice,
    });
  }

  /** Opens all; what is open stays for `close` if one cannot be had (StartError 1). */
  async open(): Promise<void> {
    const { config, cluster } = this.#options;
    try {
      this.#own = await this.#nodes.listen();
    } catch (error) {
      const { host, port } = cluster.listen;
      throw cannotListen(host, port, error as NodeJS.ErrnoException);
    }
    await openDoors(this.listeners, config, (side) => this.#doorTo(side), this.addresses);
  }

  /** Where the port for nodes listens, once it does. */
  get cluster(): AddressInfo | undefined {
    return this.#own;
  }

  #doorTo(side: Side): Door {
    const { accept } = this.#options;
    return {
      accept: (link) => {
        const serve = accept(side);
        return serve === undefined ? this.splicer.splice(link, side) : serve(link);
      },
      readInto: this.#readInto,
    };
  }

  #adopt(socket: Socket, client: Preamble): void {
    const serve = this.#options.accept(client.side);
    if (serve === undefined) {
      socket.destroy();
      return;
    }
    const { wire } = client;
    this.listeners.adopt(socket, client, { wire, accept: serve, readInto: this.#readInto });
  }

  /** Who owns the log; undefined: nobody is known to. */
  owner(address: HostPort | undefined, isHere: boolean): void {
    this.splicer.owner(address);
    const elsewhere = isHere ? undefined : address;
    this.orders.owner(elsewhere);
    this.#relayClient.owner(elsewhere);
    if (isHere && !this.#isHere) this.#heard.told(this.#asTold(), performance.now());
    this.#isHere = isHere;
    if (isHere) return;
    this.#orders.drop();
    this.#relayServer.drop();
  }

  /** All nodes that the owner has heard of. */
  nodes(): SeenNode[] {
    if (!this.#isHere) return this.#asTold();
    const own = { ...this.#options.status(), seenMs: 0 };
    const others = this.#heard.seen(performance.now()).filter(({ node }) => node !== own.node);
    return [...others, own].sort((a, b) => a.node - b.node);
  }

  // Nobody says more of them while there is no owner.
  #asTold(): SeenNode[] {
    const sinceMs = Math.round(performance.now() - this.#toldMs);
    return this.#told.map((node) => ({ ...node, seenMs: node.seenMs + sinceMs }));
  }

  /** Lets nobody in any more; who is connected stays. */
  stop(): void {
    this.listeners.stop();
    this.#nodes.close();
  }

  /** Disconnects everybody. */
  close(): void {
    this.stop();
    this.orders.close();
    this.#relayClient.owner(undefined);
    this.#relayServer.drop();
    this.#orders.drop();
    this.splicer.close();
    this.listeners.destroyAll();
  }
}

interface Proofs {
  token?: NodeToken;
  certificates?: NodeCertificates;
}

// On a machine's own address the cluster's name is enough: config/cluster.ts refuses others.
function proofsOf({ name, token, tokenFile, tls }: ClusterConfig): Proofs {
  try {
    if (tls !== undefined) {
      const { caFile, certFile, keyFile } = tls;
      const certificates = {
        ca: readFileSync(caFile!),
        cert: readFileSync(certFile!),
        key: readFileSync(keyFile!),
      };
      const given = tokenOf(token, tokenFile);
      return given === undefined ? { certificates } : { certificates, token: given };
    }
    return { token: tokenOf(token, tokenFile) ?? NodeToken.of(`cluster ${name} on loopback`) };
  } catch (error) {
    throw new StartError(78, `this node cannot say who it is: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function tokenOf(token: string | undefined, file: string | undefined): NodeToken | undefined {
  if (token !== undefined) return NodeToken.of(token);
  if (file === undefined) return undefined;
  const read = new NodeToken(file);
  read.proof(); // what is wrong with it is said at the start
  return read;
}
