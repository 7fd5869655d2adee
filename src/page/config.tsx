// The settings in effect, and where each value came from.

import { useState } from 'preact/hooks';
import type { Setting } from '../dashboard/messages.ts';
import { NOTHING } from './format.ts';
import { type Column, Complaint, Foreign, Panel, Table } from './parts.tsx';
import { usePolled } from './store.ts';

const PERIOD_MS = 15_000;

const COLUMNS: Column<Setting>[] = [
  { head: 'Setting', cell: (row) => <code>{row.key}</code> },
  {
    head: 'Value',
    cell: (row) => (row.value === '' ? NOTHING : <Foreign text={row.value} />),
  },
  {
    head: 'From',
    cell: (row) =>
      row.source === 'default' ? (
        <span class="muted">default</span>
      ) : (
        <span class="badge note">
          <Foreign text={row.origin} />
        </span>
      ),
  },
  { head: 'What it is', isMinor: true, cell: (row) => row.description },
];

export function ConfigScreen() {
  const { data, problem } = usePolled<{ settings: Setting[] }>('/config', PERIOD_MS);
  const [isOnlyChanged, setOnlyChanged] = useState(false);
  const settings = data?.settings ?? [];
  const changed = settings.filter(({ source }) => source !== 'default');
  return (
    <Panel
      title="Settings"
      aside={
        <label class="check">
          <input
            type="checkbox"
            checked={isOnlyChanged}
            onChange={(event) => setOnlyChanged(event.currentTarget.checked)}
          />
          only what is not the default
        </label>
      }
    >
      <Complaint problem={problem} />
      {data === undefined ? (
        <p class="empty">Asking for the settings …</p>
      ) : (
        <Table
          label="Settings"
          columns={COLUMNS}
          rows={isOnlyChanged ? changed : settings}
          keyOf={(row) => row.key}
          empty="Every setting has its default."
        />
      )}
    </Panel>
  );
}
