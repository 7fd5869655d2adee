// What the admin API has for clusters: what this node knows of them all, and stepping down.

import type { ClusterSnapshot } from '../contract/cluster.ts';
import type { Command } from '../contract/commands.ts';
import { whyNoSnapshot } from './absent.ts';
import { type ApiRoute, type Call, replyTo } from './api-calls.ts';
import { type DashboardReply, json, problem } from './http.ts';
import { QueryError, shown } from './queries.ts';

export const CLUSTER_ROUTES: readonly ApiRoute[] = [
  { method: 'GET', path: '/api/v1/cluster', handle: cluster },
  { method: 'POST', path: '/api/v1/cluster/step-down', handle: stepDown },
];

// Of this node; or what there is to reply instead.
async function ownView({ ask }: Call): Promise<ClusterSnapshot | DashboardReply> {
  const answer = await ask();
  if (answer?.cluster !== undefined) return answer.cluster;
  if (answer?.snapshot === undefined) return whyNoSnapshot(answer);
  return problem(404, 'this broker is no node of a cluster: see --cluster', 'no-cluster');
}

// Also while there is no owner: then somebody wants to know what the others see.
async function cluster(call: Call): Promise<DashboardReply> {
  const own = await ownView(call);
  return 'status' in own ? own : json(200, own);
}

async function stepDown(call: Call): Promise<DashboardReply> {
  const command = stepDownCommand(call.query);
  const own = await ownView(call);
  return 'status' in own ? own : replyTo(await call.run(command), 202);
}

/** The command of a query. @throws QueryError */
export function stepDownCommand(query: URLSearchParams): Command {
  const text = query.get('leader') ?? '0';
  if (text !== '0' && text !== '1') throw new QueryError(`leader is 0 or 1, not "${shown(text)}"`);
  return { kind: 'cluster-step-down', leader: text === '1' };
}
