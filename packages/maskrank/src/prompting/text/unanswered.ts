// A question without an answer where others may still have one: the model declined, or nobody recorded it. Not a broken
// endpoint: that ends the work, this skips one case and is counted.

import { DataError } from '@maskrank/torch/errors';

/** One question has no answer; the others are still worth asking. */
export class UnansweredError extends DataError {
  /** Short, for records and counts: `refused: …`, `content filter`, `not recorded`. */
  readonly reason: string;
  constructor(message: string, reason: string) {
    super(message);
    this.reason = reason;
  }
}
