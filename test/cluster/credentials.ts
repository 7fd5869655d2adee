// Who may use servers of NATS, as tests need it: certificates in files, users with keys of their
// own, and users that an operator's account lets in for a time.

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { CLUSTER } from '../io/cluster/certificates.ts';
import { temporaryFolder } from '../support/broker.ts';
import { CLUSTER as CLUSTER_NAME } from './nodes.ts';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** What `by` signs: that `of` is what `nats` says; `endS`: until then, in seconds since 1970. */
function token(by: KeyPair, of: KeyPair, nats: object, endS?: number): string {
  const claims = {
    jti: randomBytes(16).toString('hex'),
    iat: Math.floor(Date.now() / 1000),
    iss: by.getPublicKey(),
    name: of.getPublicKey(),
    sub: of.getPublicKey(),
    ...(endS === undefined ? {} : { exp: endS }),
    nats: { ...nats, version: 2 },
  };
  const head = base64(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const signed = `${head}.${base64(JSON.stringify(claims))}`;
  return `${signed}.${base64(by.sign(Buffer.from(signed)))}`;
}

const WITHOUT_LIMITS = {
  ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true },
  ...{ conn: -1, leaf: -1, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
};

/** As `nsc` writes it. */
function credsOf(jwt: string, user: KeyPair): string {
  return `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${text(user.getSeed())}
------END USER NKEY SEED------
`;
}

/** Lets nobody in but whom it makes credentials for. */
export class Operator {
  readonly #account = nkeys.createAccount();
  readonly #user = nkeys.createUser();
  /** Lines of a server's configuration. */
  readonly config: string;

  constructor() {
    const operator = nkeys.createOperator();
    const system = nkeys.createAccount();
    const accounts = [
      [system, { ...WITHOUT_LIMITS, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 }],
      [this.#account, WITHOUT_LIMITS],
    ] as const;
    const preloaded = accounts.map(([account, limits]) => {
      const jwt = token(operator, account, { type: 'account', limits });
      return `${account.getPublicKey()}: "${jwt}"`;
    });
    this.config = `operator: "${token(operator, operator, { type: 'operator' })}"
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload { ${preloaded.join(', ')} }`;
  }

  /** Contents of a file of credentials, that end then: in seconds since 1970. */
  creds(endS?: number): string {
    const may = { type: 'user', pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
    return credsOf(token(this.#account, this.#user, may, endS), this.#user);
  }
}

/** A user that servers know by its key; what it may do stands in their configuration. */
export class KnownUser {
  readonly #user = nkeys.createUser();

  /** Contents of a file of credentials. What is signed in it is not looked at. */
  get creds(): string {
    return credsOf(token(nkeys.createAccount(), this.#user, { type: 'user' }), this.#user);
  }

  /** Lines of a server's configuration; `permissions`: as it stands there. */
  config(permissions = ''): string {
    return `authorization { users: [ { nkey: ${this.#user.getPublicKey()}, ${permissions} } ] }`;
  }
}

export interface TlsFiles {
  /** Lines of the configuration of servers that want certificates of their clients. */
  config: string;
  /** How a node is told of its own. */
  flags: string[];
}

/** Writes certificates into a folder. */
export function tlsIn(folder: string): TlsFiles {
  const [ca, cert, key] = (['ca', 'cert', 'key'] as const).map((name) => {
    const file = path.join(folder, `nats.${name}`);
    fs.writeFileSync(file, CLUSTER[name]);
    return file;
  }) as [string, string, string];
  return {
    config: `tls { cert_file: "${cert}", key_file: "${key}", ca_file: "${ca}", verify: true }`,
    flags: [...['--cluster-nats-ca', ca, '--cluster-nats-cert', cert, '--cluster-nats-key', key]],
  };
}

/** As docs/cluster.md has them, for the cluster of the tests. */
export function permissions(): string {
  const guide = fs.readFileSync(new URL('../../../docs/cluster.md', import.meta.url), 'utf8');
  const [, block] = /```nats\n(permissions: .*?)```/s.exec(guide)!;
  return block!.replaceAll('orders', CLUSTER_NAME);
}

/** A file of credentials with these contents. */
export function inFile(contents: string, folder = temporaryFolder()): string {
  const file = path.join(folder, 'node.creds');
  fs.writeFileSync(file, contents);
  return file;
}
