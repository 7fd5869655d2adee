// Why there are no numbers of a broker, as a reply: it is silent, or starting, or a node of a
// cluster in which another one owns the log.

import type { ClusterSnapshot } from '../contract/cluster.ts';
import { type DashboardReply, problem } from './http.ts';
import type { Answer } from './messages.ts';

/** To an answer without a snapshot, or none: a problem with status 503. */
export function whyNoSnapshot(answer: Answer | undefined): DashboardReply {
  if (answer === undefined) return problem(503, 'the broker does not answer');
  if (answer.cluster === undefined) return problem(503, 'the broker is starting');
  return problem(503, textOf(answer.cluster), 'not-owner');
}

function textOf({ name, self, owner }: ClusterSnapshot): string {
  const who = `node ${self.node} of cluster ${name} does not own the log`;
  if (owner === null || owner.node === self.node)
    return `${who} and knows of no node that does: ask again in a moment`;
  const where =
    owner.dashboard === null
      ? `node ${owner.node} does, which has no dashboard`
      : `the numbers are those of node ${owner.node}, whose dashboard is at ${owner.dashboard}`;
  return `${who}: ${where}`;
}
