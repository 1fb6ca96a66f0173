// The generated pages of docs/reference against the sources they are made from.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parseArguments } from '../../src/cli/program.ts';
import { registry } from '../../src/cli/registry.ts';
import { leaves, sectionDescriptions } from '../../src/run/leaves.ts';
import { alignmentPresets } from '../../src/run/presets.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const { cliPage, configurationPage } = await import(`${ROOT}scripts/lib/docs-reference.mjs`);
const stale = 'make it anew: npm run build && node scripts/docs-reference.mjs';
const page = (name: string): string => readFileSync(`${ROOT}docs/reference/${name}.md`, 'utf8');

it('cli.md tells every verb as it is', () => {
  let help = '';
  parseArguments(['--help'], {
    verbs: registry,
    version: '',
    leaves: [],
    sectionDescriptions,
    columns: 100,
    write: (text) => {
      help += text;
    },
  });
  expect(page('cli') === cliPage({ verbs: registry, help }), stale).toBe(true);
});

it('configuration.md tells every key as it is', () => {
  const made = configurationPage({ leaves, descriptions: sectionDescriptions, presets: alignmentPresets });
  expect(page('configuration') === made, stale).toBe(true);
  for (const { path } of leaves) expect(made).toContain(`\`${path}\``);
});
