// What a planted bug is: one small change of one source, a mutant as the field says, and the test
// that must turn red for it. Its place is named by syntax (`mutate.ts`), so it moves with the code.

export interface Mutant {
  /** What goes wrong, in a few words. No other has the same. */
  name: string;
  /** Source that is changed, below the root: `src/….ts` or `assembly/….ts`. */
  file: string;
  /** Where in it: `Class.member` (`Commit.#seal`, `Commit.constructor`), or what stands at top level. */
  member: string;
  /** Statements or an expression, which stand in the member exactly once. */
  find: string;
  /** What takes their place; nothing at all takes statements out. */
  replace: string;
  /** File and name of the test that fails for it. */
  test: string;
  caughtBy: string;
}
