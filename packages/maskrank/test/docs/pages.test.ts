// What the pages promise: links lead somewhere, commands parse, files.md names every field of the artefacts.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/cli/program.ts';
import { registry } from '../../src/cli/registry.ts';
import { DatasetSchema, SplitsSchema } from '../../src/datasets/schema.ts';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { promptLineSchema } from '../../src/prompting/prompt-store.ts';
import { leaves, sectionDescriptions } from '../../src/run/leaves.ts';
import { runPaths } from '../../src/run/run-folder.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
const withoutCode = (text: string): string =>
  text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** GitHub's anchors of a page's headings. */
const anchors = (text: string): Set<string> =>
  new Set(
    [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );

describe.each(PAGES)('%s', (page) => {
  it('links to what is there', () => {
    const broken = [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^(https?|mailto):/.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
        if (!existsSync(file)) return true;
        return anchor !== undefined && !anchors(readFileSync(file, 'utf8')).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('gives commands that parse', () => {
    const wrong = commandsOf(read(page)).flatMap((command) => {
      try {
        parseArguments(words(command).slice(1), {
          verbs: registry,
          version: '0',
          leaves,
          sectionDescriptions,
          columns: 100,
          write: () => {},
        });
        return [];
      } catch (error) {
        return [`${command}: ${(error as Error).message}`];
      }
    });
    expect(wrong).toEqual([]);
  });
});

/** Lines of code blocks that call maskrank, with their continuations. */
function commandsOf(text: string): string[] {
  return [...text.matchAll(/^```(?:bash|console)\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map((line) => line.replace(/^\s*\$ /, '').trim())
      .filter((line) => line.startsWith('maskrank ')),
  );
}

/** A line as a shell takes it apart; what stands behind ` #`, `>` or `|` is the shell's. */
function words(line: string): string[] {
  const command = line.replace(/\s(#|>|\|).*$/, '');
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
}

describe('docs/reference/files.md', () => {
  const text = read('docs/reference/files.md');
  const shapes: Record<string, readonly string[]> = {
    'dataset.json': Object.keys(DatasetSchema.shape),
    'splits.json': Object.keys(SplitsSchema.shape),
    'prompts.jsonl': Object.keys(promptLineSchema.shape),
    'evaluation.json': Object.keys(EvaluationSchema.shape),
  };
  it.each(Object.entries(shapes))('names every field of %s', (_, fields) => {
    expect(fields.filter((field) => !text.includes(`\`${field}\``))).toEqual([]);
  });

  it('names every file of a run', () => {
    const files = Object.values(runPaths('/run')).map((path) => relative('/run', path));
    expect(files.filter((file) => !text.includes(file))).toEqual([]);
  });
});
