// The peers that the broker is compared with: how each is found, set up and started, and what its
// ack promises. Installs nothing.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Protocol } from './protocol.ts';

/** What holds when a message's ack has come. */
export type Guarantee = 'synced before the ack' | 'acked before the sync';

export interface SystemSetup {
  /** What it runs with; printed. */
  settings: string;
  files: Record<string, string>;
  programs: { file: string; args: string[]; env: Record<string, string> }[];
}

export interface System {
  /** How it is chosen on the command line. */
  key: string;
  name: string;
  protocol: Protocol;
  guarantee: Guarantee;
  /** Says more about the guarantee, in a few words. */
  detail: string;
  /** Where its program is, or why it cannot be measured here. */
  find(): { file: string; version: string } | { absent: string };
  setup(file: string, folder: string, ports: readonly number[]): SystemSetup;
}

/** Free ports that a system may need; the first is the one that clients use. */
export const PORTS_NEEDED = 3;

// Where Debian has servers; not on everybody's PATH.
const MORE_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];

/** The first of `folders`, then of PATH, that has this program; undefined if none. */
export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...folders, ...path, ...MORE_FOLDERS]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here.
    }
  }
  return undefined;
}

function found(name: string, versionArgs: readonly string[]): ReturnType<System['find']> {
  const file = findProgram(name);
  if (file === undefined) return { absent: `there is no ${name} on PATH` };
  return { file, version: versionOf(file, versionArgs) };
}

function versionOf(file: string, args: readonly string[]): string {
  try {
    const text = execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return /\d+(\.\d+)+/.exec(text)?.[0] ?? 'unknown version';
  } catch {
    return 'unknown version';
  }
}

const plain = (): Record<string, string> => ({ PATH: process.env.PATH ?? '', LANG: 'C.UTF-8' });

const redis: System = {
  key: 'redis',
  name: 'Redis Streams',
  protocol: 'redis',
  guarantee: 'synced before the ack',
  detail: 'appendfsync always',
  find: () => found('redis-server', ['--version']),
  setup(file, folder, [port]) {
    const settings = {
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
      'auto-aof-rewrite-percentage': '0',
    };
    const place = { bind: '127.0.0.1', port: String(port), dir: folder, daemonize: 'no' };
    const args = Object.entries({ ...settings, ...place }).flatMap(([key, value]) => [
      `--${key}`,
      value,
    ]);
    const text = Object.entries(settings).map(([key, value]) => `${key} ${value || '""'}`);
    return { settings: text.join(', '), files: {}, programs: [{ file, args, env: plain() }] };
  },
};

function natsConfig(folder: string, port: number, always: boolean): string {
  const sync = always ? '\n  sync_interval: always' : '';
  return `listen: 127.0.0.1:${port}\njetstream {\n  store_dir: ${JSON.stringify(folder)}${sync}\n}\n`;
}

function nats(always: boolean): System {
  return {
    key: always ? 'nats-always' : 'nats',
    name: always ? 'NATS JetStream, sync always' : 'NATS JetStream',
    protocol: 'nats',
    guarantee: always ? 'synced before the ack' : 'acked before the sync',
    detail: always ? 'sync_interval: always' : 'file storage, synced every 2 min',
    find() {
      const one = found('nats-server', ['--version']);
      if ('absent' in one || !always || knowsSyncAlways(one.file)) return one;
      return { absent: `nats-server ${one.version} does not know sync_interval: always` };
    },
    setup(file, folder, [port]) {
      const settings = `file storage, ${always ? 'sync_interval: always' : 'default sync_interval'}`;
      return {
        settings: `${settings}, work-queue stream, one replica`,
        files: { 'nats.conf': natsConfig(folder, port, always) },
        programs: [{ file, args: ['-c', join(folder, 'nats.conf')], env: plain() }],
      };
    },
  };
}

/** Asks the program itself, which refuses settings that it does not know. */
function knowsSyncAlways(file: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'thrustmq-nats-'));
  try {
    writeFileSync(join(folder, 'nats.conf'), natsConfig(folder, 4222, true));
    execFileSync(file, ['-c', join(folder, 'nats.conf'), '-t'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Debian's program on PATH changes to another user, who may not write into our folder.
const RABBIT_FOLDERS = ['/usr/lib/rabbitmq/bin'];

const rabbitmq: System = {
  key: 'rabbitmq',
  name: 'RabbitMQ quorum queue',
  protocol: 'amqp',
  guarantee: 'synced before the ack',
  detail: 'publisher confirms, one replica',
  find() {
    const file = findProgram('rabbitmq-server', RABBIT_FOLDERS);
    if (file === undefined) return { absent: 'there is no rabbitmq-server on PATH' };
    if (findProgram('epmd') === undefined) return { absent: 'there is no epmd on PATH' };
    return { file, version: rabbitVersion(file) };
  },
  setup(file, folder, [port, names, distribution]) {
    const env = {
      ...plain(),
      HOME: folder, // for the cookie
      RABBITMQ_NODENAME: `bench${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
      RABBITMQ_PID_FILE: join(folder, 'pid'),
      RABBITMQ_CONF_ENV_FILE: join(folder, 'no-such-file'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_PORT: String(names),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    };
    const nameServer = {
      file: findProgram('epmd')!,
      args: ['-port', String(names), '-address', '127.0.0.1'],
      env: plain(),
    };
    return {
      settings: 'x-queue-type quorum, one replica, publisher confirms, no plugins',
      files: { plugins: '[].\n' },
      programs: [nameServer, { file, args: [], env }],
    };
  },
};

function rabbitVersion(file: string): string {
  for (const folder of [join(dirname(file), '..'), join(dirname(file), '../lib')]) {
    try {
      for (const name of readdirSync(folder)) {
        const version = /^rabbitmq_server-(\d+(?:\.\d+)+)/.exec(name)?.[1];
        if (version !== undefined) return version;
      }
    } catch {
      // Not how this one is laid out.
    }
  }
  return 'unknown version';
}

const beanstalkd: System = {
  key: 'beanstalkd',
  name: 'beanstalkd',
  protocol: 'beanstalk',
  guarantee: 'synced before the ack',
  detail: '-f0: a sync for each job',
  find: () => found('beanstalkd', ['-v']),
  setup(file, folder, [port]) {
    const args = ['-l', '127.0.0.1', '-p', String(port), '-b', folder, '-f0'];
    return { settings: '-b DIR -f0', files: {}, programs: [{ file, args, env: plain() }] };
  },
};

/** Every peer, in the order of the table. */
export const SYSTEMS: readonly System[] = [redis, nats(false), nats(true), rabbitmq, beanstalkd];
