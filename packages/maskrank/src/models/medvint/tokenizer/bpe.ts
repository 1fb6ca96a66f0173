// Byte pair encoding as SentencePiece does it: neighbouring pieces are joined, the best-scored result first, the leftmost
// first among equals, until no two neighbours make a piece of the vocabulary. Time grows as n log n with the text's length.
// Not here: the vocabulary, what becomes of characters that it lacks (llama-tokenizer.ts).

/** Two neighbours that may be joined. A pair that has changed since it was queued is told by its `length`. */
type Pair = {
  readonly score: number;
  /** Positions of the left and the right neighbour among the first symbols. */
  readonly left: number;
  readonly right: number;
  /** Of the joined piece, UTF-16 units. */
  readonly length: number;
};

/** Whether `a` is joined before `b`. */
const goesFirst = (a: Pair, b: Pair): boolean =>
  a.score > b.score || (a.score === b.score && a.left < b.left);

/** Splits `text` into pieces. `scoreOf` gives the score of a piece, undefined for what is none. Joined, they are `text`. */
export function splitIntoPieces(text: string, scoreOf: (piece: string) => number | undefined): string[] {
  const symbols: string[] = Array.from(text); // by code points; '' once joined to the left
  const next = symbols.map((_, i) => i + 1);
  const previous = symbols.map((_, i) => i - 1);
  const queue = new PairQueue();
  const offer = (left: number, right: number): void => {
    if (left < 0 || right >= symbols.length) return;
    const joined = symbols[left]! + symbols[right]!;
    const score = scoreOf(joined);
    if (score !== undefined) queue.push({ score, left, right, length: joined.length });
  };
  for (let i = 1; i < symbols.length; i++) offer(i - 1, i);
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    const { left, right, length } = pair;
    const isStale = symbols[left] === '' || symbols[right] === '';
    if (isStale || symbols[left]!.length + symbols[right]!.length !== length) continue;
    symbols[left] += symbols[right]!;
    symbols[right] = '';
    const after = next[right]!;
    next[left] = after;
    if (after < symbols.length) previous[after] = left;
    offer(previous[left]!, left);
    offer(left, after);
  }
  return symbols.filter((piece) => piece !== '');
}

/** A binary heap; the pair that goes first is on top. */
class PairQueue {
  readonly #heap: Pair[] = [];

  push(pair: Pair): void {
    const heap = this.#heap;
    let i = heap.push(pair) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!goesFirst(pair, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = pair;
  }

  pop(): Pair | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && goesFirst(heap[child + 1]!, heap[child]!)) child++;
      if (!goesFirst(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
