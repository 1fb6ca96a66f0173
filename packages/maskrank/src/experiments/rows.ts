// From the arms of a definition to the rows of its table: one for each share, variant and shown stage.
// A row's id names it in tables, files and the paper's numbers: ARM, ARM/VARIANT, ARM@SHARE, ARM:STAGE and their combinations.

import { UsageError } from '@maskrank/torch/errors';
import { didYouMean } from '../datasets/artefact.ts';
import type { Arm, Definition, Variant } from './definition.ts';
import { EVERY_BASELINE, type Method, methodsNamed } from './methods.ts';
import type { Overrides } from './settings.ts';

export type Row = {
  readonly id: string;
  readonly arm: string;
  readonly armTitle: string;
  /** Of the row within its arm, for tables with a line a row. */
  readonly title: string;
  readonly method: Method;
  /** One of `every-baseline`: left out where it cannot be done. */
  readonly optional?: true;
  /** Shares of the training cases, 0..1. */
  readonly labelled: number;
  readonly unlabelled: number;
  readonly variant?: Variant;
  readonly set: Overrides;
  readonly controls: readonly string[];
  /** Row of the evaluation. */
  readonly stageKey: string;
};

/** Share of the training cases that a row uses, with or without masks, without the rounding of a sum. */
export const shareOf = ({ labelled, unlabelled }: Pick<Row, 'labelled' | 'unlabelled'>): number =>
  Math.round((labelled + unlabelled) * 1e6) / 1e6;

const many = <T>(values: T | readonly T[]): readonly T[] => (Array.isArray(values) ? values : [values as T]);

const percentText = (share: number): string => `${Math.round(share * 1000) / 10} %`;

/** Rows in the order of the definition. `only` names arms; those of `every-baseline` by method. */
export function rowsOf(
  definition: Definition,
  methods: readonly Method[],
  only?: readonly string[],
): readonly Row[] {
  const { arms } = definition;
  const isWanted = (arm: Arm) => only === undefined || only.includes(arm.name);
  const wanted = arms.flatMap((arm): (Arm & Pick<Row, 'optional'>)[] => {
    if (arm.method !== EVERY_BASELINE) return [arm];
    const own = new Set(arms.map(({ name }) => name));
    return methodsNamed(EVERY_BASELINE, methods, definition.name)
      .filter(({ name }) => !own.has(name))
      .map(({ name, title }) => ({ ...arm, name, title, method: name, optional: true }));
  });
  const names = wanted.map(({ name }) => name);
  const stranger = only?.find((name) => !names.includes(name));
  if (stranger !== undefined)
    throw new UsageError(
      `--arms: ${definition.name} has no arm "${stranger}".${didYouMean(stranger, names)} It has: ${names.join(', ')}.`,
    );
  const rows = wanted.filter(isWanted).flatMap((arm) => rowsOfArm(arm, definition, methods));
  const twice = rows.find(({ id }, i) => rows.findIndex((row) => row.id === id) !== i);
  if (twice !== undefined)
    throw new UsageError(`${definition.name}: two rows are called "${twice.id}"; give arms other names.`);
  return rows;
}

function rowsOfArm(
  arm: Arm & Pick<Row, 'optional'>,
  definition: Definition,
  methods: readonly Method[],
): Row[] {
  const [method] = methodsNamed(arm.method, methods, `${definition.name}, arm ${arm.name}`) as [Method];
  const variants = typeof arm.variants === 'string' ? definition.variants[arm.variants] : arm.variants;
  const [labelled, unlabelled] = [many(arm.labelled), many(arm.unlabelled)];
  const severalShares = labelled.length * unlabelled.length > 1;
  const stageKeys = arm.rows ?? [method.stageKey];
  return labelled.flatMap((l) =>
    unlabelled.flatMap((u) =>
      (variants ?? [undefined]).flatMap((variant) =>
        stageKeys.map((stageKey): Row => {
          const share = { labelled: l, unlabelled: u };
          if (l + u > 1 + 1e-9)
            throw new UsageError(
              `${definition.name}, arm ${arm.name}: labelled ${l} and unlabelled ${u} are more than all training cases; allowed: at most 1 together.`,
            );
          if (u === 0 && method.baseline?.usesUnlabelled === true)
            throw new UsageError(
              `${definition.name}, arm ${arm.name}: ${method.name} learns from unlabelled cases too; give the arm a share of them, such as "unlabelled": 0.4.`,
            );
          const words = [
            variant?.title,
            severalShares ? percentText(shareOf(share)) : undefined,
            stageKeys.length > 1 ? stageKey : undefined,
          ].filter((word) => word !== undefined);
          return {
            id: [
              arm.name,
              variant === undefined ? '' : `/${variant.name}`,
              severalShares ? `@${shareOf(share)}` : '',
              stageKeys.length > 1 ? `:${stageKey}` : '',
            ].join(''),
            arm: arm.name,
            armTitle: arm.title,
            title: words.length === 0 ? arm.title : `${arm.title}, ${words.join(', ')}`,
            method,
            ...(arm.optional && { optional: true }),
            ...share,
            ...(variant === undefined ? {} : { variant }),
            set: { ...arm.set, ...variant?.set },
            controls: arm.controls,
            stageKey,
          };
        }),
      ),
    ),
  );
}
