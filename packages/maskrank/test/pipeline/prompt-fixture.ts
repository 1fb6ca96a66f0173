// A small dataset and settings under which `maskrank prompt` takes a second: random tiny networks, few channels.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { PromptLine } from '../../src/prompting/prompt-store.ts';
import { type Captured, type RunCliOptions, runCli } from '../cli/harness.ts';

/** `structuredClone` it to change it. */
export const SETTINGS = {
  threads: 1,
  data: { imageSize: 64 },
  clip: { architecture: 'biomedclip-nano' },
  saliency: { k: 4, batch: 4 },
} as const;

export async function must(argv: readonly string[], options?: RunCliOptions): Promise<Captured> {
  const result = await runCli(argv, options);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

const DIVISION = ['--labelled', '0.4', '--test', '0.25', '--validation', '0.2', '--seed', '3'];

/** A dataset of phantoms with a division, and the settings as a file. */
export async function makeData(
  dir: string,
  { family = 'breast', cases = 8 }: { family?: 'breast' | 'chest'; cases?: number } = {},
): Promise<{ readonly data: string; readonly config: string }> {
  const [data, config] = [join(dir, `data-${family}-${cases}`), join(dir, 'config.json')];
  await must([
    'dataset',
    'phantom',
    family,
    '--classes',
    family === 'breast' ? 'lesion' : 'lung',
    '--cases',
    `${cases}`,
    '--size',
    '64',
    '--seed',
    '3',
    '--out',
    data,
  ]);
  await must(['dataset', 'split', data, ...DIVISION]);
  writeFileSync(config, JSON.stringify(SETTINGS));
  return { data, config };
}

export const linesOf = (run: string, file = 'prompts.jsonl'): PromptLine[] =>
  readFileSync(join(run, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as PromptLine);

export const bytesOf = (run: string): string => readFileSync(join(run, 'prompts.jsonl'), 'utf8');
