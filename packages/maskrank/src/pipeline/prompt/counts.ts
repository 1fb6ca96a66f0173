// What came out, per class: by which way prompts were made, and how many maps hardly depend on their text. Counted from the
// lines, so that resumed and shared work counts alike.

import type { DatasetClass } from '../../datasets/schema.ts';
import type { PromptLine } from '../../prompting/prompt-store.ts';
import type { FallbackRule } from '../../prompting/regions/index.ts';

export type ClassCounts = {
  readonly class: number;
  readonly name: string;
  readonly prompts: number;
  /** Prompts by regions that were found, and by each fallback. */
  readonly found: number;
  readonly fallbacks: Readonly<Record<FallbackRule, number>>;
  /** Mean number of boxes and points. */
  readonly boxes: number;
  readonly points: number;
  /** Maps that hardly depend on the text; null where no map was compared. */
  readonly insensitive: number | null;
  /** Median of the sensitivity; null where no map was compared. */
  readonly sensitivity: number | null;
  readonly answers: number;
  readonly unanswered: number;
  readonly knowledge: boolean;
};

/** What `maskrank prompt` keeps of a line's making, beyond its source. */
export type SaliencyProvenance = {
  readonly identity: string;
  readonly phrases: readonly string[];
  readonly sensitivity: number | null;
  readonly fallback: FallbackRule | null;
  readonly reason: string | null;
  readonly warnings: readonly string[];
  readonly answer?: { readonly unanswered?: unknown };
};

export const madeBySaliency = (line: PromptLine): SaliencyProvenance =>
  line.provenance as unknown as SaliencyProvenance;

export function countPrompts(
  lines: readonly PromptLine[],
  classes: readonly DatasetClass[],
  minSensitivity: number,
): ClassCounts[] {
  return classes.map(({ id, name }) => {
    const own = lines.filter((line) => line.class === id && line.provenance.source === 'saliency');
    const made = own.map(madeBySaliency);
    const by = (rule: FallbackRule | null) => made.filter(({ fallback }) => fallback === rule).length;
    const sensitivities = made.flatMap(({ sensitivity }) => sensitivity ?? []).sort((a, b) => a - b);
    const mean = (count: (line: PromptLine) => number) =>
      own.length === 0 ? 0 : own.reduce((sum, line) => sum + count(line), 0) / own.length;
    return {
      class: id,
      name,
      prompts: own.length,
      found: by(null),
      fallbacks: { peak: by('peak'), 'whole-image': by('whole-image'), none: by('none') },
      boxes: mean(({ boxes }) => boxes.length),
      points: mean(({ points }) => points.length),
      insensitive: sensitivities.length === 0 ? null : sensitivities.filter((s) => s < minSensitivity).length,
      sensitivity: sensitivities[Math.floor(sensitivities.length / 2)] ?? null,
      answers: own.filter(({ text }) => text?.answer !== undefined).length,
      unanswered: made.filter(({ answer }) => answer?.unanswered !== undefined).length,
      knowledge: own.some(({ text }) => text?.knowledge !== undefined),
    };
  });
}

/** Sentences of what a person should know before using these prompts. */
export function countWarnings(counts: readonly ClassCounts[]): string[] {
  return counts.flatMap((c) => {
    const { peak, 'whole-image': whole, none } = c.fallbacks;
    const fallbacks = [
      peak > 0 ? `${peak} took the highest values` : '',
      whole > 0 ? `${whole} got a box around the whole image` : '',
      none > 0 ? `${none} got no prompt` : '',
    ].filter(Boolean);
    return [
      c.insensitive !== null && c.insensitive > 0
        ? `${c.name}: ${c.insensitive} of ${c.prompts} maps hardly depend on the text (saliency.minSensitivity); the network may not know the words, see docs/prompting.md`
        : '',
      fallbacks.length > 0
        ? `${c.name}: nothing was found in ${peak + whole + none} of ${c.prompts} maps: ${fallbacks.join(', ')}`
        : '',
      c.unanswered > 0 ? `${c.name}: ${c.unanswered} of ${c.prompts} questions have no answer` : '',
    ].filter(Boolean);
  });
}
