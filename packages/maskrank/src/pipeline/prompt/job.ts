// The job of `maskrank prompt`: boxes, points and text for every case of the division and every class of the run, without looking
// at a mask. RUN/prompts.jsonl grows case by case; at the end it is put in the order of the division, so that its bytes do not
// depend on stops, kills and parts. Whether a class is in an image cannot be known here: every class gets a prompt in every case.
// Not here: maps and regions of a case (prompter.ts), texts (text.ts), what follows a whole file (finish.ts).

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@maskrank/torch/io';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import { SPLIT_NAMES } from '../../datasets/schema.ts';
import { encodePng } from '../../formats/raster.ts';
import type { FloatMap } from '../../imaging/types.ts';
import { openPromptStore, type PromptLine, promptKey, promptLine } from '../../prompting/prompt-store.ts';
import type { RegionPrompt } from '../../prompting/regions/index.ts';
import type { Saliency } from '../../prompting/saliency/index.ts';
import { leavesMachine, privacyStatement } from '../../prompting/text/privacy.ts';
import { questionFor } from '../../prompting/text/questions.ts';
import type { AnswerProvider } from '../../prompting/text/types.ts';
import { safePoint } from '../../run/interrupt.ts';
import { Lock } from '../../run/lock.ts';
import { canonicalJson } from '../../run/resolve.ts';
import { type JobContext, openWorkspace, splitIds, type Workspace } from '../workspace.ts';
import type { ClassCounts } from './counts.ts';
import { finishPrompts, type QualityReport } from './finish.ts';
import { openNetwork } from './network.ts';
import { findMade, type Pool, readPool, type WantedLine } from './pool.ts';
import { caseMaps, classPrompt, makePrompter, type PromptedClass, type Prompter } from './prompter.ts';
import { endpointsInUse, openAnswers, openKnowledge } from './providers.ts';
import { isOfShard, type Shard, shardPath } from './shard.ts';
import { answerFor, answerIdentity, gatherKnowledge, type SourcedText, textFields } from './text.ts';

/** Version of how lines are made; part of every identity. */
const RULE = 'maskrank prompt 1';

export type PromptJobOptions = {
  /** Only this part of the cases, beside other commands that make the others. */
  readonly shard: Shard | null;
  /** Make nothing; put together what parts have made. */
  readonly mergeOnly: boolean;
  /** Write every map as a picture. */
  readonly maps: boolean;
  /** Cases on the contact sheet; 0 draws none. */
  readonly previewCases: number;
  /** Measure prompts of unlabelled and test cases, too, whose masks are hidden from everything else. */
  readonly hiddenQuality: boolean;
};

export type PromptJobResult = {
  readonly path: string;
  readonly cases: number;
  /** Lines that this command made, and good ones that were there. */
  readonly made: number;
  readonly reused: number;
  /** Lines of a person's (source `file`), which stay as they are. */
  readonly kept: number;
  /** False while other parts are at work. */
  readonly complete: boolean;
  /** Lines that nobody has made yet. */
  readonly missing: number;
  readonly randomWeights: boolean;
  /** What left the machine and where to, as a sentence. */
  readonly privacy: string;
  readonly counts: readonly ClassCounts[];
  readonly quality: QualityReport | null;
  readonly preview: string | null;
};

/** Everything that the parts of the job share. */
export type PromptWork = {
  readonly context: JobContext;
  readonly workspace: Workspace;
  readonly prompter: Prompter;
  /** Every case of the division, without masks, in its order. */
  readonly cases: readonly UnlabelledCase[];
  readonly wanted: readonly WantedLine[];
  readonly knowledge: ReadonlyMap<number, SourcedText>;
  readonly answers: AnswerProvider | null;
};

export async function promptJob(
  context: JobContext,
  datasetDir: string | undefined,
  options: PromptJobOptions,
): Promise<PromptJobResult> {
  const { run, config, signal, warn } = context;
  const { shard } = options;
  using _shardLock = shard === null ? undefined : lockShard(run.dir, shard);
  const workspace = await openWorkspace(context, datasetDir);
  const { dataset } = workspace.dataset;
  const network = await openNetwork({ config, dataset, device: workspace.device, warn });
  const providers = providerRequest(context, workspace, shard);
  const knowing = openKnowledge(providers);
  const answers = await openAnswers(providers);
  try {
    const privacy = await tellPrivacy(context);
    const about = { classes: workspace.classes, modality: dataset.modality };
    const prompter = makePrompter(network, config, about, join(run.paths.cache, 'saliency'));
    const knowledge =
      knowing === null ? new Map() : await gatherKnowledge(knowing, about, { run, warn, signal });
    const ids = SPLIT_NAMES.flatMap((name) =>
      workspace.splits[name].length === 0 ? [] : splitIds(workspace, config, name),
    );
    const cases = workspace.dataset.unlabelled(ids);
    const base = { context, workspace, prompter, cases, knowledge, answers };
    const work: PromptWork = { ...base, wanted: wantedLines(base) };
    const path = shard === null ? run.paths.prompts : shardPath(run.dir, shard);
    const counts = options.mergeOnly ? { made: 0, reused: 0, kept: 0 } : await makeLines(work, path, options);
    const finished = await finishPrompts(work, options);
    return {
      path: finished.complete ? run.paths.prompts : path,
      cases: cases.filter((_, i) => isOfShard(i, shard)).length,
      ...counts,
      randomWeights: network.isRandom,
      privacy,
      ...finished,
    };
  } finally {
    knowing?.close?.();
    answers?.close?.();
    network.model.dispose();
  }
}

/** Says what leaves the machine and where to, before anything does; the addresses are checked by now. */
async function tellPrivacy({ run, config, note }: JobContext): Promise<string> {
  const endpoints = endpointsInUse(config);
  const privacy = privacyStatement(endpoints);
  note({ privacy, leavesMachine: leavesMachine(endpoints) }, privacy);
  await run.setPrivacy(privacy);
  return privacy;
}

/** One command a part; released at the end of the scope. */
function lockShard(dir: string, shard: Shard): Disposable {
  const lock = Lock.acquire(`${shardPath(dir, shard)}.lock`, {
    command: `maskrank prompt --run ${dir} --shard ${shard.index}/${shard.count}`,
  });
  return { [Symbol.dispose]: () => lock.release() };
}

function providerRequest({ run, config }: JobContext, { device }: Workspace, shard: Shard | null) {
  const part = shard === null ? '' : `.shard-${shard.index}-of-${shard.count}`;
  return {
    config,
    device,
    answersPath: join(run.dir, `answers${part}.jsonl`),
    knowledgePath: join(run.paths.cache, `knowledge${part}.jsonl`),
  };
}

/** Every case and class with the identity of its line: everything that the line depends on. */
function wantedLines({
  context,
  workspace,
  prompter,
  cases,
  knowledge,
  answers,
}: Omit<PromptWork, 'wanted'>): WantedLine[] {
  const { dataset } = workspace.dataset;
  const images = new Map(dataset.cases.map(({ id, image }) => [id, dataset.files?.[image]?.sha256 ?? null]));
  const shared = prompter.classes.map(({ cls, phrases, regions }) => ({
    id: cls.id,
    values: {
      rule: RULE,
      seed: context.config.seed,
      model: prompter.network.fingerprint,
      maps: prompter.mapIdentity,
      phrases,
      regions,
      answer: answers === null ? null : answerIdentity(answers, questionFor(cls, dataset.modality)),
      knowledge: known(knowledge.get(cls.id)),
    },
  }));
  return cases.flatMap((item) =>
    shared.map(({ id, values }) => {
      const text = canonicalJson({ ...values, case: item.id, class: id, image: images.get(item.id) });
      return { case: item.id, class: id, identity: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

/** Of a knowledge text, what a line depends on: not when it was written. */
const known = (knowledge: SourcedText | undefined) =>
  knowledge === undefined ? null : { text: knowledge.text, identity: knowledge.source.identity };

/** Makes what is missing of this part. A case's classes are made together, whichever of them is missing. */
async function makeLines(
  work: PromptWork,
  path: string,
  { shard, maps }: PromptJobOptions,
): Promise<{ made: number; reused: number; kept: number }> {
  const { context, cases, prompter, wanted } = work;
  const { run, signal } = context;
  const pool = readPool(run.dir, run.paths.prompts);
  const classes = prompter.classes.length;
  const todo = cases.flatMap((item, i) => {
    if (!isOfShard(i, shard)) return [];
    return [{ item, lines: wanted.slice(i * classes, (i + 1) * classes) }];
  });
  const counts = { made: 0, reused: 0, kept: 0 };
  const missing = todo.map(({ item, lines }) => {
    const states = lines.map((line) => stateOf(pool, line, maps ? mapPath(run.dir, line) : null));
    for (const state of states) if (state !== 'missing') counts[state] += 1;
    return { item, lines: lines.filter((_, i) => states[i] === 'missing') };
  });
  let done = missing.filter(({ lines }) => lines.length === 0).length;
  if (done === todo.length) return counts;
  context.onProgress('prompts', done, todo.length);
  using store = openPromptStore(path);
  for (const { item, lines } of missing) {
    if (lines.length === 0) continue;
    await safePoint(signal);
    for (const line of await caseLines(work, item, lines, maps)) store.append(line);
    counts.made += lines.length;
    done += 1;
    context.onProgress('prompts', done, todo.length);
  }
  return counts;
}

/** `kept`: a person wrote it; `reused`: it is there as it would be made now, with its picture where one is wanted. */
function stateOf(pool: Pool, wanted: WantedLine, picture: string | null): 'missing' | 'reused' | 'kept' {
  if (pool.main.get(promptKey(wanted))?.provenance.source === 'file') return 'kept';
  const isThere = findMade(pool, wanted) !== undefined && (picture === null || existsSync(picture));
  return isThere ? 'reused' : 'missing';
}

/** Picture of a map. It is there only if it belongs to the line that stands. */
export const mapPath = (
  dir: string,
  { case: caseId, class: classId }: Pick<WantedLine, 'case' | 'class'>,
): string => join(dir, 'prompt-maps', String(classId), `${caseId}.png`);

async function caseLines(
  { context, workspace, prompter, knowledge, answers }: PromptWork,
  item: UnlabelledCase,
  wanted: readonly WantedLine[],
  withMaps: boolean,
): Promise<PromptLine[]> {
  const { run, signal } = context;
  const { modality } = workspace.dataset.dataset;
  const image = await workspace.dataset.loadImage(item);
  const maps = await caseMaps(prompter, image, signal);
  const lines: PromptLine[] = [];
  for (const [i, prompted] of prompter.classes.entries()) {
    const { cls } = prompted;
    const line = wanted.find((one) => one.class === cls.id);
    if (line === undefined) continue;
    const saliency = maps[i] as Saliency;
    const prompt = classPrompt(prompter, prompted, item.id, image, saliency);
    const answer = answers === null ? null : await answerFor(answers, item, { cls, modality }, signal);
    const picture = mapPath(run.dir, line);
    if (withMaps) await writeMap(picture, saliency.map);
    else rmSync(picture, { force: true });
    const text = { answer, knowledge: knowledge.get(cls.id) ?? null };
    const details = { ...provenance(line, prompted, saliency, prompt), ...sources(text) };
    lines.push({
      ...promptLine(
        item.id,
        cls.id,
        { boxes: prompt.boxes, points: prompt.points, source: 'saliency' },
        details,
      ),
      ...textFields(text),
    });
  }
  return lines;
}

const provenance = (
  { identity }: WantedLine,
  { phrases }: PromptedClass,
  { sensitivity, warnings }: Saliency,
  { fallback, reason }: RegionPrompt,
) => ({
  identity,
  phrases,
  sensitivity: sensitivity === null ? null : Number(sensitivity.toFixed(4)),
  fallback,
  reason,
  warnings,
});

const sources = ({ answer, knowledge }: { answer: SourcedText | null; knowledge: SourcedText | null }) => ({
  ...(answer !== null && { answer: sorted(answer.source) }),
  ...(knowledge !== null && { knowledge: sorted(knowledge.source) }),
});

/** Keys in one order, whether the source was just made or read from a file. */
const sorted = (source: SourcedText['source']) =>
  Object.fromEntries(Object.entries(source).sort(([a], [b]) => (a < b ? -1 : 1)));

async function writeMap(path: string, { width, height, data }: FloatMap): Promise<void> {
  mkdirSync(join(path, '..'), { recursive: true });
  const grey = Uint8Array.from(data, (s) => Math.round(255 * s));
  await writeFileAtomic(path, [await encodePng({ width, height, channels: 1, data: grey })]);
}
