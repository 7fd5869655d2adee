// What a deliberate fault is: one small replacement, and the test that must turn red for it. `find` is
// text of the compiled file (src/…, types gone) or of the AssemblyScript source (assembly/…), and
// stands there exactly once.

export interface Plant {
  /** What goes wrong, in a few words. */
  name: string;
  /** Source that is changed; src/… stands for the compiled file of the same path. */
  file: string;
  find: string;
  replace: string;
  /** File and name of the test that fails for it. */
  test: string;
  caughtBy: string;
}

type Row = [name: string, find: string, replace: string, test: string, caughtBy: string];

/** The faults of one file. */
export const plant = (file: string, rows: Row[]): Plant[] =>
  rows.map(([name, find, replace, test, caughtBy]) => ({
    name,
    file,
    find,
    replace,
    test,
    caughtBy,
  }));
