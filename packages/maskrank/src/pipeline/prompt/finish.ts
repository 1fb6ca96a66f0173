// What follows when every line is made: the file in its order, features of all texts, counts, the contact sheet, and how good the
// prompts are where masks may be looked at. Whoever makes the last line does it; when several parts end at once, one of them.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SplitName } from '../../datasets/schema.ts';
import { SPLIT_NAMES } from '../../datasets/schema.ts';
import { type PromptLine, promptKey, replacePrompts } from '../../prompting/prompt-store.ts';
import { ANSWER_FILE, type AnswerLine, parseAnswerLine } from '../../prompting/text/answers/answer-file.ts';
import { addTextFeatures, encodingIdentity } from '../../prompting/text/encode.ts';
import { findTextFeatures } from '../../prompting/text/features.ts';
import { allTexts } from '../../prompting/text/parts.ts';
import { writeJson } from '../../run/files.ts';
import { JsonlStore, readJsonl } from '../../run/jsonl.ts';
import { InUseError, Lock } from '../../run/lock.ts';
import { type ClassCounts, countPrompts, countWarnings } from './counts.ts';
import type { PromptJobOptions, PromptWork } from './job.ts';
import { findMade, mergedLines, readPool, removeShardFiles } from './pool.ts';
import { writePreview } from './preview.ts';
import { BASELINES, type QualitySummary, summariseQuality, unitQuality } from './quality.ts';

/** A class of a split by its prompts, and by each baseline. */
export type QualityRow = {
  readonly split: SplitName;
  readonly class: number;
  readonly name: string;
  /** Cases of the split in which the class is absent by its mask; they were prompted and are not measured. */
  readonly absent: number;
  readonly prompts: Readonly<Record<'saliency' | keyof typeof BASELINES, QualitySummary>>;
};

/** RUN/prompt-quality.json */
export type QualityReport = {
  readonly schemaVersion: 1;
  readonly measuredAgainst: string;
  /** Masks of unlabelled or test cases were read. */
  readonly hiddenMasks: boolean;
  readonly definitions: Readonly<Record<string, string>>;
  readonly rows: readonly QualityRow[];
};

export type Finished = {
  readonly complete: boolean;
  readonly missing: number;
  readonly counts: readonly ClassCounts[];
  readonly quality: QualityReport | null;
  readonly preview: string | null;
};

export async function finishPrompts(work: PromptWork, options: PromptJobOptions): Promise<Finished> {
  const { context, wanted } = work;
  const { run, config, note } = context;
  const before = readPool(run.dir, run.paths.prompts);
  const isMissing = wanted.map(
    (line) => !isKept(before.main.get(promptKey(line))) && findMade(before, line) === undefined,
  );
  const missing = isMissing.filter(Boolean).length;
  const incomplete = { complete: false, missing, counts: [], quality: null, preview: null };
  if (missing > 0) return incomplete;
  const lock = takeTurn(work, options);
  if (lock === null) {
    note({}, 'the run is in use; whoever uses it, or --merge, puts the prompts together');
    return incomplete;
  }
  try {
    const lines = await run.exclusively(async () => {
      const merged = mergedLines(readPool(run.dir, run.paths.prompts), wanted, isKept);
      await replacePrompts(run.paths.prompts, merged);
      await mergeAnswers(work);
      removeShardFiles(run.dir);
      return merged;
    });
    await encodeAllTexts(work, lines);
    const keys = new Set(wanted.map(promptKey));
    const own = lines.filter((line) => keys.has(promptKey(line)));
    const counts = countPrompts(own, work.workspace.classes, config.saliency.minSensitivity);
    for (const text of countWarnings(counts)) context.warn(text);
    return {
      complete: true,
      missing,
      counts,
      quality: await measureQuality(work, own, options),
      preview: options.previewCases === 0 ? null : await writePreview(work, own, options.previewCases),
    };
  } finally {
    lock.release();
  }
}

/** A person's line stays as it is. */
const isKept = (line: PromptLine | undefined): boolean => line?.provenance.source === 'file';

/** Null when another part has its turn already, which does all that is left. */
function takeTurn({ context }: PromptWork, { shard }: PromptJobOptions): Lock | null {
  try {
    return Lock.acquire(join(context.run.dir, 'prompts.finish.lock'), { command: 'maskrank prompt' });
  } catch (error) {
    if (shard !== null && error instanceof InUseError) return null;
    throw error;
  }
}

const ANSWER_PART = /^answers\.shard-\d+-of-\d+\.jsonl$/;

/** Answers that parts recorded, into the run's own file, in the order of the cases. */
async function mergeAnswers({ context: { run }, cases }: PromptWork): Promise<void> {
  const parts = readdirSync(run.dir)
    .filter((name) => ANSWER_PART.test(name))
    .sort()
    .map((name) => join(run.dir, name));
  if (parts.length === 0) return;
  const options = { what: ANSWER_FILE, parse: parseAnswerLine };
  const place = new Map(cases.map(({ id }, i) => [id, i]));
  const lines = parts.flatMap((path) => [...readJsonl<AnswerLine>(path, options).entries]);
  lines.sort((a, b) => (place.get(a.case) ?? 0) - (place.get(b.case) ?? 0));
  using store = JsonlStore.open<AnswerLine>(join(run.dir, 'answers.jsonl'), options);
  const known = new Set(store.entries().map((line) => JSON.stringify(line)));
  for (const line of lines) if (!known.has(JSON.stringify(line))) store.append(line);
  store.flush();
  for (const path of parts) rmSync(path, { force: true });
}

/** Features of every text that later stages may ask for. A file of another network is a cache of no more use. */
async function encodeAllTexts(
  { context, prompter }: PromptWork,
  lines: readonly PromptLine[],
): Promise<void> {
  const texts = lines.flatMap(({ text }) => (text === undefined ? [] : allTexts(text)));
  if (texts.length === 0) return;
  const { run, signal } = context;
  const { network } = prompter;
  const path = join(run.paths.cache, 'text-features.safetensors');
  const there = await findTextFeatures(path).catch(() => null);
  const encoding = encodingIdentity(network.model, network.tokenizer);
  if (there === null || (there && (there.model !== network.fingerprint || there.encoding !== encoding)))
    rmSync(path, { force: true });
  const { encoded, cut } = await addTextFeatures(path, network, texts, {
    signal,
    progress: (done, total) => context.onProgress('texts', done, total),
  });
  if (encoded > 0) context.note({ encoded, cut }, `text features: ${encoded} texts encoded`);
  if (cut.texts > 0)
    context.warn(
      `${cut.texts} of ${encoded} texts are longer than the network reads; ${cut.pieces} word pieces at their ends were left out (answers come first)`,
    );
}

const DEFINITIONS = {
  boxIou:
    "boxes matched one to one with the tight boxes of the mask's largest components, sum of IoU over the larger number of boxes; mean",
  boxIou50: 'share of the cases with boxIou of at least 0.5',
  boxHit: 'share of the cases in which the centre of some box lies on the mask',
  pointHit: 'share of the cases with points in which some point lies on the mask',
  pointPrecision: 'share of the points that lie on the mask; mean over the cases with points',
} as const satisfies Readonly<Record<Exclude<keyof QualitySummary, 'cases'>, string>>;

/** Splits whose masks this run works with anyway. */
const OPEN_SPLITS: ReadonlySet<SplitName> = new Set(['labelled', 'validation']);

/** Prompts against masks, in RUN/prompt-quality.json; null where no mask may be read. */
async function measureQuality(
  { context, workspace, prompter, cases }: PromptWork,
  lines: readonly PromptLine[],
  { hiddenQuality }: PromptJobOptions,
): Promise<QualityReport | null> {
  const byKey = new Map(lines.map((line) => [promptKey(line), line]));
  const prompted = new Set(cases.map(({ id }) => id));
  const known = new Set(workspace.dataset.labelled().map(({ id }) => id));
  const rows: QualityRow[] = [];
  for (const split of SPLIT_NAMES) {
    if (!hiddenQuality && !OPEN_SPLITS.has(split)) continue;
    const ids = workspace.splits[split].filter((id) => prompted.has(id) && known.has(id));
    if (ids.length === 0) continue;
    for (const { cls, regions } of prompter.classes) {
      const units = { saliency: [], 'centre box': [], 'whole image': [] } as Record<
        keyof QualityRow['prompts'],
        NonNullable<ReturnType<typeof unitQuality>>[]
      >;
      let absent = 0;
      for (const item of workspace.dataset.labelled(ids)) {
        context.signal.throwIfAborted();
        const line = byKey.get(promptKey({ case: item.id, class: cls.id }));
        if (line?.provenance.source !== 'saliency') continue;
        const mask = await workspace.dataset.loadMask(item, cls.id);
        const { maxRegions } = regions.keep;
        const own = unitQuality(line, mask, maxRegions);
        if (own === null) {
          absent += 1;
          continue;
        }
        units.saliency.push(own);
        for (const [name, make] of Object.entries(BASELINES)) {
          const quality = unitQuality(make(mask), mask, maxRegions);
          if (quality !== null) units[name as keyof typeof BASELINES].push(quality);
        }
      }
      const prompts = {
        saliency: summariseQuality(units.saliency),
        'centre box': summariseQuality(units['centre box']),
        'whole image': summariseQuality(units['whole image']),
      };
      rows.push({ split, class: cls.id, name: cls.name, absent, prompts });
    }
  }
  const path = join(context.run.dir, 'prompt-quality.json');
  if (rows.length === 0) {
    rmSync(path, { force: true });
    return null;
  }
  const report: QualityReport = {
    schemaVersion: 1,
    measuredAgainst: hiddenQuality
      ? 'masks, those of unlabelled and test cases among them, which are hidden from everything else in this run'
      : 'masks of labelled and validation cases',
    hiddenMasks: hiddenQuality,
    definitions: DEFINITIONS,
    rows,
  };
  await writeJson(path, report);
  return report;
}
