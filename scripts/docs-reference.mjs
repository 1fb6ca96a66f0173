// Writes docs/reference/cli.md and docs/reference/configuration.md from the compiled sources (`npm run build` first).
// A test compares them with the sources, so a forgotten run shows.

import { writeFileSync } from 'node:fs';
import { parseArguments } from '../packages/maskrank/dist/cli/program.js';
import { registry } from '../packages/maskrank/dist/cli/registry.js';
import { leaves, sectionDescriptions } from '../packages/maskrank/dist/run/leaves.js';
import { alignmentPresets } from '../packages/maskrank/dist/run/presets.js';
import { cliPage, configurationPage } from './lib/docs-reference.mjs';

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

const pages = {
  cli: cliPage({ verbs: registry, help }),
  configuration: configurationPage({ leaves, descriptions: sectionDescriptions, presets: alignmentPresets }),
};
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(`../docs/reference/${name}.md`, import.meta.url);
  writeFileSync(file, text);
  console.log(`wrote docs/reference/${name}.md (${text.split('\n').length - 1} lines)`);
}
