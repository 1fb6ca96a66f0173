// Divides a dataset into test, validation, labelled and unlabelled cases: by group, seeded, stratified and nested.
// Every choice is a prefix (or suffix) of one total order of the groups, so the 10 % labelled set lies inside the 20 %
// set, and the order depends on the seed and the group names alone, never on the order of the cases.
// Not here: reading pixels; a dataset's own hash (hash.ts).

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import { didYouMean, listProblems, readArtefact } from './artefact.ts';
import { compareNames } from './names.ts';
import type { CaseRecord, Dataset, Splits } from './schema.ts';
import { SPLIT_NAMES, SPLITS_FILE, SplitsSchema } from './schema.ts';

export type SplitOptions = {
  /** Chooses the labelled and unlabelled cases (and the hold-out, unless `holdOutSeed` is given). */
  readonly seed: number | string;
  /** Seed of test and validation alone: keep it fixed to repeat an experiment with other labelled subsets. Default `seed`. */
  readonly holdOutSeed?: number | string;
  /** Share of the usable cases for the test, 0..1. Default 0.2; with `keepTest` not allowed. */
  readonly test?: number;
  /** Share of the usable cases for validation, 0..1. Default 0.1; with `keepValidation` not allowed. */
  readonly validation?: number;
  /** Share of the training pool (what test and validation leave) whose masks are used, 0..1. Default 0.1. */
  readonly labelled?: number;
  /** Share of the training pool used without masks, 0..1. Default: all that `labelled` leaves. */
  readonly unlabelled?: number;
  /** `class` (which classes a group shows) and names of tags; groups are spread evenly over these. Default `['class']`. */
  readonly stratifyBy?: readonly string[];
  /** Take the source's suggestion (tag `split` = `test`) as the test set. Default false. */
  readonly keepTest?: boolean;
  /** Take the source's suggestion (tag `split` = `validation`) as the validation set. Default false. */
  readonly keepValidation?: boolean;
  /** What to do with cases known to show no class (normals): `leave-out` as the paper does, or `keep`. Default `leave-out`. */
  readonly emptyCases?: 'keep' | 'leave-out';
};

/** Groups of whole cases that are placed together. */
type Group = { readonly name: string; readonly cases: readonly CaseRecord[]; readonly stratum: string };

/**
 * Divides a dataset. Cases whose ground truth is unknown are never labelled, validation or test: those of training
 * groups are unlabelled (unless `unlabelled` is given as 0), those of hold-out groups are left out.
 * Throws UsageError for impossible shares, DataError when a suggestion would tear a group apart.
 */
export function makeSplits(dataset: Dataset, datasetHash: string, options: SplitOptions): Splits {
  const resolved = resolveOptions(options);
  const { holdOutSeed, stratifyBy, keepTest, keepValidation, emptyCases } = resolved;
  checkTags(dataset, stratifyBy);

  const leftOut: Record<string, string> = {};
  const leaveOut = (cases: readonly CaseRecord[], why: string) => {
    for (const { id } of cases) leftOut[id] = why;
  };
  const empty = dataset.cases.filter((c) => c.empty === true && emptyCases === 'leave-out');
  leaveOut(empty, 'empty: no class in the image');
  const kept = dataset.cases.filter((c) => leftOut[c.id] === undefined);
  const known = kept.filter(hasGroundTruth);
  const unknown = kept.filter((c) => !hasGroundTruth(c));
  const groups = groupCases(known, stratifyBy);

  // Hold-out: test first, then validation from what is left, so that validation never changes the test set.
  const suggested = (split: string) => suggestedGroups(groups, split);
  const order = orderGroups(groups, `${holdOutSeed}|hold-out`);
  const keptValidation = keepValidation ? suggested('validation') : new Set<Group>();
  const test = keepTest
    ? [...suggested('test')]
    : takePrefix(without(order, keptValidation), resolved.test * known.length);
  const validation = keepValidation
    ? [...keptValidation].filter((group) => !test.includes(group))
    : takePrefix(without(order, new Set(test)), resolved.validation * known.length);

  // Training pool: labelled from the front of the order, unlabelled from its end. So unlabelled sets are nested too,
  // and equal for different labelled shares.
  const heldOut = new Set([...test, ...validation]);
  const pool = orderGroups(without(groups, heldOut), `${options.seed}|training`);
  const poolCases = countCases(pool);
  if (poolCases === 0) throw noTraining(dataset, known.length);
  const labelled = takePrefix(pool, resolved.labelled * poolCases);
  const rest = without(pool, new Set(labelled));
  const takesRest = resolved.labelled + resolved.unlabelled > 1 - 1e-9;
  const unlabelled = takesRest ? rest : takePrefix([...rest].reverse(), resolved.unlabelled * poolCases);
  leaveOut(casesOf(without(rest, new Set(unlabelled))), 'beyond the shares asked for');

  const heldOutNames = new Set([...heldOut].map((group) => group.name));
  const usableUnknown = unknown.filter((c) => !heldOutNames.has(c.group) && options.unlabelled !== 0);
  leaveOut(
    unknown.filter((c) => !usableUnknown.includes(c)),
    'no ground truth, and its group is held out or no unlabelled cases are wanted',
  );

  const lists = {
    labelled: casesOf(labelled),
    unlabelled: [...casesOf(unlabelled), ...usableUnknown],
    validation: casesOf(validation),
    test: casesOf(test),
  };
  const base = {
    labelled: poolCases,
    unlabelled: poolCases + usableUnknown.length,
    validation: known.length,
    test: known.length,
  };
  const achieved = Object.fromEntries(
    SPLIT_NAMES.map((name) => [name, describeSplit(dataset, lists[name], base[name], name)]),
  );
  const ids = (name: (typeof SPLIT_NAMES)[number]) => lists[name].map((c) => c.id).sort(compareNames);
  return {
    schemaVersion: 1,
    datasetHash,
    seed: options.seed,
    fractions: {
      test: keepTest ? achieved.test!.fraction : resolved.test,
      validation: keepValidation ? achieved.validation!.fraction : resolved.validation,
      labelled: resolved.labelled,
      unlabelled: resolved.unlabelled,
    },
    labelled: ids('labelled'),
    unlabelled: ids('unlabelled'),
    validation: ids('validation'),
    test: ids('test'),
    options: { holdOutSeed, stratifyBy: [...stratifyBy], keepTest, keepValidation, emptyCases },
    achieved,
    leftOut: Object.fromEntries(Object.entries(leftOut).sort(([a], [b]) => compareNames(a, b))),
  };
}

/** Writes splits.json (or another file) atomically and returns its path. */
export async function writeSplits(dir: string, splits: Splits, file = SPLITS_FILE): Promise<string> {
  const path = join(dir, file);
  await writeFileAtomic(path, `${JSON.stringify(SplitsSchema.parse(splits), null, 2)}\n`);
  return path;
}

/** Reads a division and checks that it belongs to this dataset. Throws DataError when it is damaged, unknown or stale. */
export async function readSplits(
  path: string,
  dataset: { readonly hash: string; readonly dataset: Dataset },
): Promise<Splits> {
  const splits = await readArtefact(path, SplitsSchema);
  const known = new Set(dataset.dataset.cases.map((c) => c.id));
  const unknown = SPLIT_NAMES.flatMap((name) =>
    splits[name].filter((id) => !known.has(id)).map((id) => `${name}: "${id}" is no case of the dataset.`),
  );
  if (unknown.length > 0) throw new DataError(listProblems(`${path}: unknown cases`, unknown));
  if (splits.datasetHash !== dataset.hash) {
    throw new DataError(
      `${path}: made for a dataset with hash ${splits.datasetHash.slice(0, 12)}…, found ${dataset.hash.slice(0, 12)}…: ` +
        'images, masks, classes or groups have changed since. Divide the dataset again.',
    );
  }
  return splits;
}

function resolveOptions(options: SplitOptions) {
  const { seed, keepTest = false, keepValidation = false, labelled = 0.1 } = options;
  if (keepTest && options.test !== undefined)
    throw new UsageError(`makeSplits: test = ${options.test} together with keepTest; give one of them.`);
  if (keepValidation && options.validation !== undefined)
    throw new UsageError(
      `makeSplits: validation = ${options.validation} together with keepValidation; give one of them.`,
    );
  const test = keepTest ? 0 : (options.test ?? 0.2);
  const validation = keepValidation ? 0 : (options.validation ?? 0.1);
  const unlabelled = options.unlabelled ?? Math.max(0, 1 - labelled);
  for (const [name, share] of Object.entries({ test, validation, labelled, unlabelled })) {
    if (!(share >= 0 && share <= 1))
      throw new UsageError(`makeSplits: ${name} = ${share}; allowed: a share from 0 to 1.`);
  }
  if (test + validation >= 1)
    throw new UsageError(
      `makeSplits: test + validation = ${test + validation} leaves nothing to train on; allowed: less than 1.`,
    );
  if (labelled + unlabelled > 1 + 1e-9)
    throw new UsageError(
      `makeSplits: labelled + unlabelled = ${labelled + unlabelled}; both are shares of the training pool, allowed: at most 1 together.`,
    );
  return {
    test,
    validation,
    labelled,
    unlabelled,
    keepTest,
    keepValidation,
    holdOutSeed: options.holdOutSeed ?? seed,
    stratifyBy: options.stratifyBy ?? ['class'],
    emptyCases: options.emptyCases ?? ('leave-out' as const),
  };
}

function checkTags(dataset: Dataset, stratifyBy: readonly string[]): void {
  const tags = new Set(dataset.cases.flatMap((c) => Object.keys(c.tags ?? {})));
  for (const field of stratifyBy) {
    if (field === 'class' || tags.has(field)) continue;
    throw new UsageError(
      `makeSplits: stratifyBy "${field}": no case has that tag.${didYouMean(field, tags)} Allowed: class${[
        ...tags,
      ]
        .sort()
        .map((t) => `, ${t}`)
        .join('')}.`,
    );
  }
}

const hasGroundTruth = (record: CaseRecord): boolean =>
  record.empty === true || Object.keys(record.masks).length > 0;

function groupCases(cases: readonly CaseRecord[], stratifyBy: readonly string[]): Group[] {
  const byName = new Map<string, CaseRecord[]>();
  for (const record of cases) {
    const members = byName.get(record.group);
    if (members) members.push(record);
    else byName.set(record.group, [record]);
  }
  return [...byName].map(([name, members]) => {
    const fields = stratifyBy.map((field) => {
      const values = members.flatMap((c) =>
        field === 'class' ? Object.keys(c.masks) : [c.tags?.[field] ?? ''],
      );
      return [...new Set(values)].sort().join('+');
    });
    return { name, cases: members, stratum: JSON.stringify(fields) };
  });
}

/** Groups all of whose cases suggest `split`. Throws when none does, or when a group is torn. */
function suggestedGroups(groups: readonly Group[], split: string): Set<Group> {
  const inside = groups.filter((g) => g.cases.some((c) => c.tags?.split === split));
  const torn = inside.filter((g) => g.cases.some((c) => c.tags?.split !== split));
  if (torn.length > 0) {
    const lines = torn.map((g) => {
      const parts = g.cases.map((c) => `${c.id} (${c.tags?.split ?? 'none'})`);
      return `group ${g.name}: ${parts.join(', ')}`;
    });
    throw new DataError(
      listProblems(
        `makeSplits: the source's ${split} split shares groups with its other splits; correct the groups or the suggestions, or divide anew without keeping them`,
        lines,
      ),
    );
  }
  if (inside.length === 0)
    throw new DataError(
      `makeSplits: no usable case has the tag split = "${split}"; the source suggests no ${split} split. Give a share instead.`,
    );
  return new Set(inside);
}

/**
 * A total order in which every prefix is close to evenly spread over the strata. In each stratum the groups stand in
 * the order of their keyed hash; a group's place is its share of the stratum's cases that lie before it, with an offset
 * drawn once a stratum so that small strata are not always late.
 */
function orderGroups(groups: readonly Group[], stream: string): Group[] {
  const strata = new Map<string, { group: Group; key: number }[]>();
  for (const group of groups) {
    const entry = { group, key: unitHash(`${stream}|group|${group.name}`) };
    const members = strata.get(group.stratum);
    if (members) members.push(entry);
    else strata.set(group.stratum, [entry]);
  }
  const placed: { group: Group; key: number; place: number }[] = [];
  for (const [stratum, members] of strata) {
    members.sort((a, b) => a.key - b.key || compareNames(a.group.name, b.group.name));
    const offset = unitHash(`${stream}|stratum|${stratum}`);
    const total = members.reduce((sum, { group }) => sum + group.cases.length, 0);
    let before = 0;
    for (const { group, key } of members) {
      placed.push({ group, key, place: (before + offset * group.cases.length) / total });
      before += group.cases.length;
    }
  }
  placed.sort((a, b) => a.place - b.place || a.key - b.key || compareNames(a.group.name, b.group.name));
  return placed.map(({ group }) => group);
}

/** The prefix whose number of cases is closest to `target`; at least one group when the target is above zero. */
function takePrefix(groups: readonly Group[], target: number): Group[] {
  if (target <= 0) return [];
  let cases = 0;
  let k = 0;
  while (k < groups.length) {
    const next = cases + groups[k]!.cases.length;
    if (k > 0 && Math.abs(next - target) >= Math.abs(cases - target)) break;
    cases = next;
    k++;
  }
  return groups.slice(0, k);
}

const without = (groups: readonly Group[], gone: ReadonlySet<Group>): Group[] =>
  groups.filter((g) => !gone.has(g));
const casesOf = (groups: readonly Group[]): CaseRecord[] => groups.flatMap((g) => g.cases);
const countCases = (groups: readonly Group[]): number => groups.reduce((sum, g) => sum + g.cases.length, 0);

/** Numbers of a split. The masks of unlabelled cases are nobody's business, so their classes are not counted. */
function describeSplit(dataset: Dataset, cases: readonly CaseRecord[], base: number, name: string) {
  const classes = name === 'unlabelled' ? [] : dataset.classes;
  return {
    cases: cases.length,
    groups: new Set(cases.map((c) => c.group)).size,
    fraction: base === 0 ? 0 : cases.length / base,
    classes: Object.fromEntries(
      classes.map((cls) => [cls.name, cases.filter((c) => c.masks[`${cls.id}`] !== undefined).length]),
    ),
  };
}

function noTraining(dataset: Dataset, known: number): DataError {
  return new DataError(
    `makeSplits: dataset "${dataset.name}" has ${dataset.cases.length} cases, ${known} usable ones with ground truth, and none is left to train on. ` +
      'Add cases with masks, keep empty cases, or lower test and validation.',
  );
}

/** A number in [0, 1) that depends on the text alone. */
function unitHash(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
