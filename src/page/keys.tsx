// Keys that work on every screen: g and a letter goes to a screen, / searches, ? shows this list.
// Those of a chart are in chart.tsx.

import { useEffect } from 'preact/hooks';
import { Dialog } from './parts.tsx';
import { go, SCREENS, screensOf } from './route.ts';
import { useLive } from './store.ts';

const PAIR_MS = 1500;

/** Listens for as long as the component is shown. */
export function useKeys({ onHelp }: { onHelp: () => void }): void {
  // What onHelp does is the same each time.
  useEffect(() => {
    let pairedAtMs = Number.NEGATIVE_INFINITY;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const isPair = performance.now() - pairedAtMs < PAIR_MS;
      pairedAtMs = Number.NEGATIVE_INFINITY;
      const screen = SCREENS.find(({ key }) => key === event.key);
      if (isPair && screen !== undefined) go(screen.name);
      else if (event.key === 'g') pairedAtMs = performance.now();
      else if (event.key === '?') onHelp();
      else if (event.key === '/') search();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return (
    element?.closest?.('input, select, textarea, dialog') !== null && element?.closest !== undefined
  );
}

function search(): void {
  go('buckets');
  // The screen is drawn after the address has changed.
  setTimeout(() => document.querySelector<HTMLElement>('input[type=search]')?.focus(), 50);
}

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const { cluster } = useLive();
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {screensOf(cluster !== undefined).map(({ name, title, key }) => (
          <div key={name}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{title}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>Search for a bucket</dd>
        </div>
        <div>
          <dt>
            <kbd>+</kbd> <kbd>−</kbd> <kbd>←</kbd> <kbd>→</kbd>
          </dt>
          <dd>Zoom and move all charts, on one of them</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>This list</dd>
        </div>
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close a dialog; on a chart: show all of the time</dd>
        </div>
      </dl>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
