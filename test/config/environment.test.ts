// Variables that begin like ours: settings, what was meant to be one, and what images, Kubernetes
// and Docker set for themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { environmentNameOf, flagOf, SETTING_KEYS } from '../../src/config/schema.ts';

/** Names of variables that are no settings; throws when one was meant to be. */
async function unknownIn(environment: Record<string, string>): Promise<string[]> {
  const sources = { flags: {}, environment, workingDir: '/nonexistent', terminal: false };
  return (await loadConfig(sources)).unknownVariables;
}

const MEANT: Record<string, string> = {
  DATADIR: 'DATA_DIR',
  DATA_DRI: 'DATA_DIR',
  DATA_DIRS: 'DATA_DIR',
  DATA_DIRECTORY: 'DATA_DIR',
  DIR_DATA: 'DATA_DIR',
  HOTS: 'HOST',
  HOSTS: 'HOST',
  WIRES: 'WIRE',
  SYNK: 'SYNC',
  SYNCH: 'SYNC',
  INTAKE_PROT: 'INTAKE_PORT',
  INTAKE_PORTS: 'INTAKE_PORT',
  INTAEK_PORT: 'INTAKE_PORT',
  PORT_INTAKE: 'INTAKE_PORT',
  INTAKEPORT: 'INTAKE_PORT',
  EXAHUST_PROT: 'EXHAUST_PORT',
  MAX_MESSAGES: 'MAX_MESSAGE',
  MEMROY: 'MEMORY',
  LOGLEVEL: 'LOG_LEVEL',
  LOG_LEVELS: 'LOG_LEVEL',
  DASHBORD: 'DASHBOARD',
  NO_DASHBOARD: 'DASHBOARD=false',
  DASHBOARD_TOKENFILE: 'DASHBOARD_TOKEN_FILE',
  MAX_CONNECTIONS_PER_ADRESS: 'MAX_CONNECTIONS_PER_ADDRESS',
  CONFG: 'CONFIG',
};

test('a near miss of a setting ends the start and names it', async () => {
  for (const [name, setting] of Object.entries(MEANT))
    await assert.rejects(unknownIn({ [`THRUSTMQ_${name}`]: '1' }), {
      name: 'ConfigError',
      exitCode: 78,
      message: `unknown environment variable THRUSTMQ_${name}; did you mean "THRUSTMQ_${setting}"?`,
    });
});

test('several of them are all named', async () => {
  const environment = { THRUSTMQ_SYNK: 'none', THRUSTMQ_HOTS: 'x', THRUSTMQ_VERSION: '1' };
  await assert.rejects(
    unknownIn(environment),
    /SYNK.*"THRUSTMQ_SYNC"\?\n.*HOTS.*"THRUSTMQ_HOST"\?$/,
  );
});

/** What Dockerfiles, charts and unit files are seen to set. */
const FOREIGN =
  'VERSION RELEASE REVISION TAG SHA SHA256 GIT_SHA GIT_COMMIT BUILD BUILD_DATE VCS_REF CHECKSUM URL ' +
  'DOWNLOAD_URL IMAGE NAME HOME USER GROUP UID GID PATH ROOT BIN OPTS ARGS EXTRA_ARGS EXTRA_FLAGS ' +
  'ENV MODE DEBUG TZ LANG PASSWORD USERNAME TOKEN SECRET KEY LOG_DIR LOG_FILE CONF_DIR CONFIG_DIR ' +
  'PORT PORTS ADDR ADDRESS HOSTNAME ENDPOINT SERVERS BROKER BROKERS NODE NODE_ID POD_NAME ' +
  'POD_IP NAMESPACE REPLICAS CPU MEM MEMORY_LIMIT TIMEOUT INTERVAL BUCKET QUEUE METRICS_PORT ' +
  'HTTP_PORT ADMIN_PORT DASHBOARD_URL TLS CERT STAGE REGION ZONE SERVICE ENV_DATA_DIR';

test('others are ignored and named', async () => {
  const names = FOREIGN.split(' ').map((name) => `THRUSTMQ_${name}`);
  const environment = Object.fromEntries(names.map((name) => [name, '1']));
  assert.deepEqual(await unknownIn({ ...environment, OTHER: '1', THRUSTMQ_EMPTY: '' }), names);
});

test('services that Kubernetes announces are no news, also under our own names', async () => {
  const environment: Record<string, string> = {};
  for (const [service, port] of [
    ['', 1888],
    ['INTAKE_', 1888],
    ['DASHBOARD_', 3888],
  ]) {
    const to = `tcp://10.96.0.7:${port}`;
    environment[`THRUSTMQ_${service}SERVICE_HOST`] = '10.96.0.7';
    environment[`THRUSTMQ_${service}SERVICE_PORT`] = String(port);
    environment[`THRUSTMQ_${service}SERVICE_PORT_HTTP`] = String(port);
    environment[`THRUSTMQ_${service}PORT`] = to;
    environment[`THRUSTMQ_${service}PORT_${port}_TCP`] = to;
    environment[`THRUSTMQ_${service}PORT_${port}_TCP_PROTO`] = 'tcp';
    environment[`THRUSTMQ_${service}PORT_${port}_TCP_PORT`] = String(port);
    environment[`THRUSTMQ_${service}PORT_${port}_TCP_ADDR`] = '10.96.0.7';
  }
  assert.deepEqual(await unknownIn(environment), []);
});

test('no setting is taken for another one', async () => {
  for (const key of SETTING_KEYS) {
    // A value that fits none, so that what is said is about the value.
    const name = environmentNameOf(key);
    const text = await unknownIn({ [name]: '\u0000' }).then(String, ({ message }) => message);
    assert.doesNotMatch(text, /did you mean/, `${name} ${flagOf(key)}`);
  }
});
