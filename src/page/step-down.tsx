// Letting another node own the log, or another server lead the stream: a dialog that says what that
// costs and who would come next, and in which the name of the cluster has to be typed.

import { useState } from 'preact/hooks';
import type { ClusterSnapshot, StepDown } from '../contract/cluster.ts';
import { standbysOf } from './cluster-words.ts';
import { Complaint, Dialog, Field } from './parts.tsx';
import { change } from './request.ts';
import type { Problem } from './types.ts';

interface Props {
  data: ClusterSnapshot;
  of: StepDown['of'];
  onClose: () => void;
}

export function StepDownDialog({ data, of, onClose }: Props) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<Problem>();
  const isSure = text.trim() === data.name;
  const send = async () => {
    const path = `/cluster/step-down?leader=${of === 'leader' ? 1 : 0}`;
    const result = await change<StepDown>('POST', path);
    if (result.ok) onClose();
    else setProblem(result.problem);
  };
  const isOwner = of === 'owner';
  return (
    <Dialog
      title={isOwner ? 'Let another node own the log?' : 'Let another server lead the stream?'}
      onClose={onClose}
    >
      {isOwner ? <OwnerWords data={data} /> : <LeaderWords data={data} />}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSure) void send();
        }}
      >
        <Field label="Type the name of the cluster to confirm" value={text} onInput={setText} />
        <Complaint problem={problem} />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={!isSure}>
            {isOwner ? 'Step down' : 'Move the leader'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function OwnerWords({ data }: { data: ClusterSnapshot }) {
  const next = standbysOf(data).map(({ node }) => node);
  return (
    <>
      <p>
        {data.owner === null ? 'No node owns the log now.' : `Node ${data.owner.node} gives it up.`}{' '}
        Clients are disconnected and connect again; nothing that was acked is lost, and what
        consumers hold unacked comes again.
      </p>
      {next.length === 0 ? (
        <p class="complaint">No other node would take over now.</p>
      ) : (
        <p>{next.length === 1 ? `Node ${next[0]}` : `One of nodes ${next.join(', ')}`} goes on.</p>
      )}
    </>
  );
}

function LeaderWords({ data: { stream } }: { data: ClusterSnapshot }) {
  return (
    <p>
      {stream.leader === null ? 'No server leads it now.' : `${stream.leader} leads it now.`} Acks
      pause for some tenths of a second; nobody is disconnected.
    </p>
  );
}
