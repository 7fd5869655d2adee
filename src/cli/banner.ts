// What a person sees first of a broker: where things are, and two lines to paste.

import { basename, relative } from 'node:path';
import { authority } from '../core/text/address.ts';
import { connectHost, type RuntimeInfo } from './runtime.ts';

export function banner(info: RuntimeInfo): string {
  const host = connectHost(info.host);
  const page = info.dashboard
    ? `dashboard http://${authority(connectHost(info.dashboardHost), info.dashboard)}/`
    : 'no dashboard';
  const options = (port: number, usual: number): string =>
    [
      host === '127.0.0.1' ? '' : ` --host ${host}`,
      port === usual ? '' : ` --port ${port}`,
      info.wire === 'u64' ? '' : ` --wire ${info.wire}`,
    ].join('');
  const producers = `producers ${authority(host, info.intake)}`;
  const consumers = `consumers ${authority(host, info.exhaust)}`;
  const self = selfCommand();
  return [
    `ThrustMQ ${info.version} is ready: ${producers}, ${consumers}, ${page}`,
    `  publish:  ${self} pub 42 "hello"${options(info.intake, 1888)}`,
    `  receive:  ${self} sub 42${options(info.exhaust, 2888)}`,
    '',
  ].join('\n');
}

/** How a person would call this program from here. */
function selfCommand(): string {
  const script = process.argv[1] ?? 'thrustmq';
  if (/[\\/]_npx[\\/]/.test(script)) return 'npx thrustmq';
  if (basename(script) === 'thrustmq') return 'thrustmq';
  const path = relative(process.cwd(), script);
  return `node ${/\s/.test(path) ? `"${path}"` : path}`;
}
