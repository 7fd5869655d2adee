// The rules of the broker: a list, what one of them says and what a change would come to, and which
// rule decides what for a bucket.

import { useState } from 'preact/hooks';
import type { RulePage, RuleRow } from '../contract/commands.ts';
import { ExplainRules } from './explain-rules.tsx';
import { plural } from './format.ts';
import { type Column, Complaint, Panel, Table } from './parts.tsx';
import { type Draft, draftOf, keysText, NEW_RULE } from './rule-draft.ts';
import { RuleEditor } from './rule-editor.tsx';
import { usePolled, useReadOnly } from './store.ts';

const PERIOD_MS = 5000;
const ROWS_MAX = 1000;

function columnsOf(edit: (rule: RuleRow) => void, isReadOnly: boolean): Column<RuleRow>[] {
  return [
    { head: 'Rule', cell: (row) => row.name },
    { head: 'Match', cell: (row) => <code>{row.match}</code> },
    { head: 'Sets', cell: (row) => <code>{keysText(row.keys).replaceAll('\n', ' ')}</code> },
    {
      head: 'From',
      cell: (row) =>
        row.source === 'file' ? (
          <span class="muted">configuration file</span>
        ) : (
          `version ${row.version}`
        ),
    },
    {
      head: 'Change',
      cell: (row) =>
        row.source === 'set' && (
          <button
            type="button"
            disabled={isReadOnly}
            aria-label={`Edit rule ${row.name}`}
            onClick={() => edit(row)}
          >
            Edit …
          </button>
        ),
    },
  ];
}

export function RulesScreen({ bucket }: { bucket: string | undefined }) {
  const path = `/rules?limit=${ROWS_MAX}`;
  const { data, problem, refresh } = usePolled<RulePage>(path, PERIOD_MS);
  const [draft, setDraft] = useState<Draft>();
  const isReadOnly = useReadOnly();
  const total = data === undefined ? '' : plural(data.count, 'rule');
  return (
    <>
      <Panel title="Rules" aside={<span class="muted">{total}</span>}>
        <Complaint problem={problem} />
        {isReadOnly && <p class="hint">This dashboard is read-only: nothing is changed here.</p>}
        {data !== undefined && (
          <Table
            label="Rules"
            columns={columnsOf((rule) => setDraft(draftOf(rule)), isReadOnly)}
            rows={data.rules}
            keyOf={(row) => row.name}
            empty="There are no rules: each bucket has the defaults."
          />
        )}
        {data?.rules.some(({ source }) => source === 'file') && (
          <p class="hint">
            Rules of the configuration file are changed there, and hold from the next start on.
          </p>
        )}
        {data !== undefined && data.count > data.rules.length && (
          <p class="hint">The list holds the first {ROWS_MAX}; thrustmq rule ls shows all.</p>
        )}
        <div class="buttons">
          <button type="button" disabled={isReadOnly} onClick={() => setDraft(NEW_RULE)}>
            New rule …
          </button>
        </div>
      </Panel>
      <ExplainRules key={bucket} bucket={bucket} />
      {draft !== undefined && (
        <RuleEditor
          first={draft}
          onClose={() => setDraft(undefined)}
          onDone={() => {
            setDraft(undefined);
            refresh();
          }}
        />
      )}
    </>
  );
}
