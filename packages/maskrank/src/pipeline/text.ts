// Text tokens of a run's units: their texts stand in prompts.jsonl, the features of these texts in RUN/cache; both come from
// `maskrank prompt`, so no stage needs the text network. It encodes every text that any choice of parts and tokens can ask for
// (`allTexts`), so every choice of `prompts.use` works from one run of it; here each choice asks for exactly its own joined text.
// Not here: how texts and features are made (prompting/text), what the model does with them (models/sam/prompt-encoder.ts).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import type { TextFeatureRow } from '../prompting/collate.ts';
import { promptKey, readPrompts } from '../prompting/prompt-store.ts';
import { readTextFeatures, type TextFeatures } from '../prompting/text/features.ts';
import { textsFor, wholeText } from '../prompting/text/parts.ts';
import type { PromptText, TextPart } from '../prompting/text/types.ts';
import type { RunPaths } from '../run/run-folder.ts';
import { type Unit, unitKey } from '../training/units.ts';
import { type JobContext, textParts, textTokens, type Workspace } from './workspace.ts';

/** RUN/cache/text-features.safetensors */
export const textFeaturesPath = ({ cache }: Pick<RunPaths, 'cache'>): string =>
  join(cache, 'text-features.safetensors');

/** What of a prompt's text becomes tokens. */
export type TextUse = {
  readonly parts: readonly TextPart[];
  /** 1: all parts joined; as many as there are parts: one each. */
  readonly tokens: number;
};

/** Text of the units that it was read for. */
export type UnitTexts = {
  /** Fingerprint of the text network. */
  readonly model: string;
  readonly of: (caseId: string, classId: number) => TextFeatureRow;
};

/**
 * The features of one prompt's text, token by token; null where the part is not there (an answer that was refused).
 *
 * @throws DataError when a text was never encoded; `who` names the prompt
 */
export function textRow(
  text: PromptText,
  { parts, tokens }: TextUse,
  features: TextFeatures,
  who: string,
): TextFeatureRow {
  const choices = tokens > 1 ? parts.map((part) => [part]) : [parts];
  return choices.map((choice) => {
    const [joined] = textsFor(text, choice, 1);
    if (joined === undefined) return null;
    const feature = features.get(wholeText(joined));
    if (feature === undefined)
      throw new DataError(
        `${who}: there are no features of its text (${choice.join(' and ')}: ${JSON.stringify(wholeText(joined).slice(0, 40))}…). Make them: maskrank prompt`,
      );
    return feature;
  });
}

/** The texts of the units, where the configuration uses text; undefined where it uses none. */
export async function loadTexts(
  { run, config, warn }: Pick<JobContext, 'run' | 'config' | 'warn'>,
  workspace: Workspace,
  units: readonly Unit[],
): Promise<UnitTexts | undefined> {
  const use = { parts: textParts(config), tokens: textTokens(config) };
  const { text: slots } = workspace.layout;
  if (slots === undefined) return undefined;
  const wanted = use.parts.join(' and ');
  const make = `maskrank prompt --run ${run.dir}`;
  const path = textFeaturesPath(run.paths);
  for (const file of [run.paths.prompts, path])
    if (!existsSync(file))
      throw new DataError(`${file}: is not there, and prompts of ${wanted} need it. Make it: ${make}`);
  const features = await readTextFeatures(path);
  if (features.size > 0 && features.dim !== slots.dim)
    throw new DataError(
      `${path}: features of ${features.dim} values, the model ${workspace.architecture.name} takes ${slots.dim}. For stage 1 with this text network: --model.text-dim ${features.dim}`,
    );
  const lines = readPrompts(run.paths.prompts);
  const rows = new Map<string, TextFeatureRow>();
  let without = 0;
  for (const { caseId, classId } of units) {
    const line = lines.get(promptKey({ case: caseId, class: classId }));
    const who = `case ${caseId}, class ${classId}`;
    if (line === undefined)
      throw new DataError(`${who}: prompts.jsonl has no line with its text. Make it: ${make}`);
    const row = textRow(line.text ?? {}, use, features, who);
    if (row.every((feature) => feature === null)) without += 1;
    rows.set(unitKey(caseId, classId), row);
  }
  if (units.length > 0 && without === units.length)
    throw new DataError(
      `${run.paths.prompts}: not one of ${units.length} cases and classes has a text (${wanted}). Make them: ${make}`,
    );
  if (without > 0)
    warn(
      `${without} of ${units.length} cases and classes have no text (${wanted}); the model gets none there.`,
    );
  return {
    model: features.model,
    of: (caseId, classId) => rows.get(unitKey(caseId, classId)) as TextFeatureRow,
  };
}
