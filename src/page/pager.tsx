// The way through a list that comes in pages. Each page says where the next one begins; where those
// before it began is kept here.

interface PagerProps {
  /** Where the next page begins; undefined: this is the last. */
  next: string | undefined;
  /** Where this page and those before it began; the first begins without. */
  cursors: string[];
  setCursors: (cursors: string[]) => void;
}

export function Pager({ next, cursors, setCursors }: PagerProps) {
  return (
    <div class="pager">
      <button
        type="button"
        disabled={cursors.length === 0}
        onClick={() => setCursors(cursors.slice(0, -1))}
      >
        Previous
      </button>
      <span class="muted">Page {cursors.length + 1}</span>
      <button
        type="button"
        disabled={next === undefined}
        onClick={() => next !== undefined && setCursors([...cursors, next])}
      >
        Next
      </button>
    </div>
  );
}
