// What an arm of an experiment may be: stage 1, stage 2, or a baseline of the registry that the command line has a verb for.
// Not here: baselines themselves (pipeline/baselines).

import { UsageError } from '@maskrank/torch/errors';
import { didYouMean } from '../datasets/artefact.ts';
import { baselineKey, baselineSections } from '../pipeline/baselines/measure.ts';
import { type AnyBaseline, BASELINES } from '../pipeline/baselines/registry.ts';
import type { ConfigPart } from '../run/config.ts';

export type Method = {
  readonly name: string;
  /** In tables. */
  readonly title: string;
  /** Row of the evaluation that is its own. */
  readonly stageKey: string;
  readonly baseline?: {
    /** What of the configuration shapes its row. */
    readonly sections: readonly ConfigPart[];
  } & Pick<AnyBaseline, 'check' | 'needsMasks' | 'steps' | 'storedPrompts' | 'usesUnlabelled'>;
};

/** Stands for every baseline that learns from masks alone, or from nothing; those that need unlabelled cases too are named one by one. */
export const EVERY_BASELINE = 'every-baseline';

const STAGES: readonly Method[] = [
  { name: 'stage1', title: 'Stage 1', stageKey: 'stage1' },
  { name: 'stage2', title: 'Stage 2', stageKey: 'stage2' },
];

/** Every method, baselines in the order of their registry. */
export function allMethods(verbs: readonly { readonly name: string }[]): readonly Method[] {
  const baselines = BASELINES.filter(({ name }) => verbs.some((verb) => verb.name === `baseline ${name}`));
  return [
    ...STAGES,
    ...baselines.map((method) => ({
      name: method.name,
      title: method.title,
      stageKey: baselineKey(method),
      baseline: {
        ...method,
        sections: [...baselineSections(method), ...(method.asksWith ?? [])],
      },
    })),
  ];
}

/** Section of the configuration with a baseline's own keys: `samMed3d` of `sam-med3d`. */
export const sectionOf = (baseline: string): string =>
  baseline.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The methods that an arm's `method` means. Throws UsageError with the list of those that are. */
export function methodsNamed(name: string, methods: readonly Method[], who: string): readonly Method[] {
  if (name === EVERY_BASELINE)
    return methods.filter(({ baseline }) => baseline !== undefined && baseline.usesUnlabelled !== true);
  const found = methods.find((method) => method.name === name);
  if (found !== undefined) return [found];
  const names = [...methods.map((method) => method.name), EVERY_BASELINE];
  throw new UsageError(
    `${who}: there is no method "${name}".${didYouMean(name, names)} There are: ${names.join(', ')}. Leave the arm out with --arms, or use another.`,
  );
}
