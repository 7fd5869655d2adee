// Which rule decides what for a bucket, whether or not it has messages.

import { useState } from 'preact/hooks';
import type { BucketRule } from '../contract/commands.ts';
import { type Column, Complaint, Field, Panel, Table } from './parts.tsx';
import { get } from './request.ts';
import type { Problem } from './types.ts';

const COLUMNS: Column<BucketRule['keys'][number]>[] = [
  { head: 'Key', cell: ({ key }) => <code>{key}</code> },
  { head: 'Value', cell: ({ value }) => value },
  {
    head: 'From',
    cell: ({ rule }) => (rule === null ? <span class="muted">default</span> : `rule ${rule}`),
  },
];

export function ExplainRules() {
  const [id, setId] = useState('');
  const [found, setFound] = useState<BucketRule>();
  const [problem, setProblem] = useState<Problem>();
  const ask = async () => {
    const result = await get<BucketRule>(`/buckets/${encodeURIComponent(id.trim())}/rule`);
    setFound(result.ok ? result.data : undefined);
    setProblem(result.ok ? undefined : result.problem);
  };
  return (
    <Panel title="In force for a bucket">
      <form
        class="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <Field label="Bucket" value={id} onInput={setId} />
        <button type="submit">Explain</button>
      </form>
      <Complaint problem={problem} />
      {found !== undefined && (
        <Table
          label={`In force for bucket ${found.bucket}`}
          columns={COLUMNS}
          rows={found.keys}
          keyOf={({ key }) => key}
          empty=""
        />
      )}
    </Panel>
  );
}
