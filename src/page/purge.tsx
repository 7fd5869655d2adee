// Purging a bucket's line: a dialog in which its id has to be typed, and how a purge goes.

import { useState } from 'preact/hooks';
import type { PurgeState } from '../contract/commands.ts';
import { ago, count, plural } from './format.ts';
import { Dialog, Facts, Field } from './parts.tsx';

export function PurgeFacts({ purge, nowMs }: { purge: PurgeState; nowMs: number }) {
  return (
    <Facts
      facts={[
        ['Purge', purge.done ? 'done' : 'under way'],
        ['Begun', ago(Math.max(0, nowMs - Date.parse(purge.startedAt)))],
        ['Messages purged', count(purge.purged)],
      ]}
    />
  );
}

interface ConfirmProps {
  id: string;
  /** Messages that are thrown away, at least if that is not `exact`. */
  many: number;
  exact: boolean;
  /** The title, and what is thrown away and what is not. */
  title: string;
  what: string;
  after: string;
  onClose: () => void;
  onConfirm: () => void;
}

export function ConfirmPurge(props: ConfirmProps) {
  const { id, many, exact, title, what, after, onClose, onConfirm } = props;
  const [text, setText] = useState('');
  const isSure = text.trim() === id;
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        This throws away {what}: {exact ? '' : 'at least '}
        {plural(many, 'message')}. It cannot be undone. {after}
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSure) onConfirm();
        }}
      >
        <Field
          label="Type the id of the bucket to confirm"
          value={text}
          onInput={setText}
          isNumber
        />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={!isSure}>
            Purge {plural(many, 'message')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
