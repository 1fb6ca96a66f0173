// Collects from a run folder what the report is written from. What is missing is left out and said in the report.
// Not here: how it looks (evaluation/report), pictures of cases (whoever has the predictions).

import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { readArtefact } from '../datasets/artefact.ts';
import { readDataset } from '../datasets/cases.ts';
import { SPLIT_NAMES, SplitsSchema } from '../datasets/schema.ts';
import type {
  DatasetFacts,
  ReportInput,
  ReportWarning,
  RoundFacts,
  RunFacts,
} from '../evaluation/report/input.ts';
import { type Evaluation, EvaluationSchema } from '../evaluation/schema.ts';
import type { RoundSummary } from '../pipeline/align.ts';
import type { PanelFile, PanelIndex } from '../pipeline/panels.ts';
import type { Config } from '../run/config.ts';
import { readJson } from '../run/files.ts';
import { readJsonl } from '../run/jsonl.ts';
import { leaves } from '../run/leaves.ts';
import { type MetricsLine, readMetrics } from '../run/metrics.ts';
import { configHash, type Origins, type ResolvedConfig, valueAt } from '../run/resolve.ts';
import type { RunFolder } from '../run/run-folder.ts';
import { promptingOf } from './report-prompting.ts';

/** Reads the run's artefacts. Throws DataError when there is no evaluation yet. */
export async function collectReportInput(
  run: RunFolder,
  { config, origins }: ResolvedConfig,
  generatedAt: string,
): Promise<ReportInput> {
  const { paths } = run;
  if (!existsSync(paths.evaluation))
    throw new DataError(
      `${paths.evaluation}: there is no evaluation yet. Make one: maskrank evaluate --run ${run.dir}`,
    );
  const evaluation = await readArtefact(paths.evaluation, EvaluationSchema);
  const { facts, warnings } = await datasetFacts(run, config, evaluation);
  const metrics = existsSync(paths.metrics) ? readMetrics(paths.metrics) : undefined;
  return {
    title: basename(run.dir),
    generatedAt,
    evaluation,
    dataset: facts,
    ...(metrics && { metrics }),
    run: runFacts(run, config, origins),
    promptDescription: promptWords(config, evaluation.dataset.split),
    ...promptingOf(run.dir, paths, evaluation),
    ...panelsOf(run.dir),
    ...proposalsOf(run, config, metrics ?? []),
    warnings: [...warnings, ...loggedWarnings(paths.log)],
  };
}

/** Facts of the dataset; where it is gone, those that the evaluation holds, and a remark. */
async function datasetFacts(
  { dataset: bound }: RunFolder,
  config: Config,
  evaluation: Evaluation,
): Promise<{ facts: DatasetFacts; warnings: ReportWarning[] }> {
  const { name, classes } = evaluation.dataset;
  const known: DatasetFacts = { name, classes, splits: [] };
  const warnings: ReportWarning[] = [];
  if (bound && evaluation.madeFrom.dataset !== undefined && evaluation.madeFrom.dataset !== bound.hash)
    warnings.push({
      severity: 'alarm',
      title: 'The evaluation is of another dataset',
      text: `It was made from dataset ${evaluation.madeFrom.dataset.slice(0, 12)}, the run belongs to ${bound.hash.slice(0, 12)}. Evaluate again.`,
    });
  if (bound === undefined) return { facts: known, warnings };
  try {
    const { modality, cases } = await readDataset(bound.path);
    const splits = await readArtefact(join(bound.path, config.data.splits), SplitsSchema);
    const groupOf = new Map(cases.map((record) => [record.id, record.group]));
    const splitFacts = SPLIT_NAMES.map((split) => ({
      name: split,
      cases: splits[split].length,
      groups: new Set(splits[split].map((id) => groupOf.get(id))).size,
    }));
    return { facts: { ...known, modality, splits: splitFacts }, warnings };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    warnings.push({
      severity: 'note',
      title: 'The dataset could not be read',
      text: `Its splits are not shown: ${error.message}`,
    });
    return { facts: known, warnings };
  }
}

function runFacts({ record }: RunFolder, config: Config, origins: Origins): RunFacts {
  const { maskrank, node, engine } = record.versions;
  return {
    configuration: leaves.map(({ path }) => ({
      key: path,
      value: valueAt(config, path),
      origin: origins[path] ?? 'default',
    })),
    configurationHash: configHash(config),
    versions: { maskrank, node, ...(engine !== null && { engine }) },
    seed: config.seed,
    device: config.device,
    commands: record.history.map(({ at, command, elapsedMs, exitCode }) => ({
      at,
      command,
      ...(elapsedMs !== null && { elapsedMs }),
      ...(exitCode !== null && { exitCode }),
    })),
  };
}

/** `oracle-box, jitter sides 12 % of the side` */
function promptWords({ prompts }: Config, split: string): string {
  const { kind, sigma } = prompts.jitter;
  const jitter = kind === 'none' ? 'no jitter' : `jitter ${kind} ${Math.round(sigma * 100)} % of the side`;
  return prompts.test === 'oracle-box'
    ? `${split} images: boxes from ground truth, ${jitter}`
    : `${split} images: ${prompts.test}`;
}

/** Everything that verbs warned of, once each, with the verb that said it. */
function loggedWarnings(path: string): ReportWarning[] {
  if (!existsSync(path)) return [];
  const warnings = new Map<string, ReportWarning>();
  let verb = 'a command';
  for (const line of readJsonl(path, { what: 'log' }).entries) {
    const text = String(line.msg);
    if (text === 'started') verb = String(line.command).split(' ')[1] ?? verb;
    if (line.level !== 'warn') continue;
    const severity = line.alarm === true ? 'alarm' : 'caution';
    warnings.set(text, { severity, title: `Said by ${verb}`, text });
  }
  return [...warnings.values()];
}

/** Pictures that `maskrank evaluate` left in RUN/panels. */
function panelsOf(dir: string): Pick<ReportInput, 'panels'> {
  const folder = join(dir, 'panels');
  const path = join(folder, 'panels.json');
  if (!existsSync(path)) return {};
  const { panels } = readJson(path, 'index of the pictures') as PanelIndex;
  const picture = <P extends PanelFile>({ file, ...rest }: P) => ({
    ...rest,
    png: readFileSync(join(folder, file)),
  });
  return {
    panels: panels.map(({ image, groundTruth, stage1, stage2, candidates, ...rest }) => ({
      ...rest,
      image: picture(image),
      groundTruth: picture(groundTruth),
      ...(stage1 && { stage1: picture(stage1) }),
      ...(stage2 && { stage2: picture(stage2) }),
      candidates: candidates.map(picture),
    })),
  };
}

/** How the rounds of stage 2 went, from the log. */
function proposalsOf(
  { paths, record }: RunFolder,
  config: Config,
  metrics: readonly MetricsLine[],
): Pick<ReportInput, 'proposals'> {
  if (!existsSync(paths.log)) return {};
  const rounds = new Map<number, RoundFacts>();
  for (const { round } of readJsonl(paths.log, { what: 'log' }).entries as readonly {
    round?: RoundSummary;
  }[]) {
    if (round === undefined) continue;
    const { identical, oversized, undecided, headroom } = round;
    rounds.set(round.round, {
      round: round.round,
      cases: round.units,
      skipped: { identical, oversized, undecided },
      disagreementPx: round.medianRegionPx,
      ...(headroom && { oracleHeadroom: headroom.best, meanHeadroom: headroom.mean }),
    });
  }
  if (rounds.size === 0) return {};
  const trained = trainedRounds(metrics);
  const { kind, noise } = config.scoring;
  const annotator = annotatorsOf(paths.ratings) ?? `virtual annotator, ${kind}`;
  return {
    proposals: {
      candidates: 4,
      generator: record.stages.stage2?.madeFrom.generator ?? config.alignment.proposals.generator,
      annotator,
      noise,
      rounds: [...rounds.values()].map((facts) => ({ ...facts, ...trained.get(facts.round) })),
    },
  };
}

/** Where each round's training began and what the reward was when it ended. */
function trainedRounds(
  metrics: readonly MetricsLine[],
): Map<number, Pick<RoundFacts, 'step' | 'rewardAtEnd'>> {
  const rounds = new Map<number, Pick<RoundFacts, 'step' | 'rewardAtEnd'>>();
  for (const { round, step, rewardMean } of metrics) {
    if (typeof round !== 'number') continue;
    rounds.set(round, {
      step: rounds.get(round)?.step ?? step,
      ...(typeof rewardMean === 'number' && { rewardAtEnd: rewardMean }),
    });
  }
  return rounds;
}

/** Who judged, as ratings.jsonl names them. */
function annotatorsOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const lines = readJsonl(path, { what: 'rating store' }).entries as readonly { annotator?: string }[];
  const names = new Set(lines.map(({ annotator }) => annotator).filter((name) => name !== undefined));
  return names.size === 0 ? undefined : [...names].join(', ');
}
