// Which rule decides what for a bucket, whether or not it has messages.

import { useState } from 'preact/hooks';
import type { BucketRule } from '../contract/commands.ts';
import { BucketLink, type Column, Complaint, Field, Panel, Table } from './parts.tsx';
import { go } from './route.ts';
import { usePolled } from './store.ts';

const PERIOD_MS = 2000;

const COLUMNS: Column<BucketRule['keys'][number]>[] = [
  { head: 'Key', cell: ({ key }) => <code>{key}</code> },
  { head: 'Value', cell: ({ value }) => value },
  {
    head: 'From',
    cell: ({ rule }) => (rule === null ? <span class="muted">default</span> : `rule ${rule}`),
  },
];

/** `bucket`: the one that the address names. */
export function ExplainRules({ bucket }: { bucket: string | undefined }) {
  const [text, setText] = useState(bucket ?? '');
  const id = text.trim();
  const isId = /^\d{1,20}$/.test(id);
  const [isWrong, setWrong] = useState(false);
  return (
    <Panel
      title="In force for a bucket"
      aside={bucket === undefined ? undefined : <BucketLink id={bucket} />}
    >
      <form
        class="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          setWrong(!isId);
          if (isId) go('rules', id);
        }}
      >
        <Field
          label="Bucket"
          value={text}
          problem={isWrong && !isId ? NO_ID : undefined}
          onInput={setText}
          isNumber
        />
        <button type="submit">Explain</button>
      </form>
      {bucket !== undefined && <Explanation bucket={bucket} />}
    </Panel>
  );
}

const NO_ID = 'that is no bucket: an id is a number from 0 to 2^64 - 1';

function Explanation({ bucket }: { bucket: string }) {
  // Rules may change while it is looked at.
  const { data, problem } = usePolled<BucketRule>(`/buckets/${bucket}/rule`, PERIOD_MS);
  return (
    <>
      <Complaint problem={problem} />
      {data !== undefined && (
        <Table
          label={`In force for bucket ${data.bucket}`}
          columns={COLUMNS}
          rows={data.keys}
          keyOf={({ key }) => key}
          empty=""
        />
      )}
      {data?.virtual && (
        <p>
          Consumers of virtual bucket {data.virtual.bucket} are given what waits here (rule{' '}
          {data.virtual.rule}).
        </p>
      )}
    </>
  );
}
