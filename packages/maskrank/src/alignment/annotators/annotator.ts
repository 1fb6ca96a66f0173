// What an annotator is: it sees four candidates of a case and class and says which are better. Stage 2 knows nothing
// else of the truth. Not here: the virtual annotator, who holds masks (oracle.ts), and a person's answers (recorded.ts).

import type { Mask } from '../../imaging/types.ts';

/** Four candidates to judge, on the model canvas. */
export type Question = {
  readonly caseId: string;
  readonly classId: number;
  /** Counts refreshes, from 0. */
  readonly round: number;
  readonly candidates: readonly Mask[];
  /** Content hash of the candidates: an answer belongs to exactly these. */
  readonly proposalsHash: string;
};

/** `order`: candidate indices, best first. `grades`: one a candidate, 1 worst to 4 best. `best`: index of the best, nothing of the others. */
export type Answer =
  | { readonly order: readonly number[] }
  | { readonly grades: readonly number[] }
  | { readonly best: number };

export type Annotator = {
  /** Who: goes into ratings.jsonl. */
  readonly name: string;
  /** Undefined: this annotator has no answer (a person who has not come to it yet). */
  readonly judge: (question: Question) => Answer | undefined;
  /** Dice of each candidate with the truth, where the annotator holds it. Only recorded: nothing learns from it. */
  readonly agreement?: (question: Question) => readonly number[];
};
