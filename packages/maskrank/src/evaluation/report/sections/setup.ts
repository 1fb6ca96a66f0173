// What went in: the data set with its splits, the prompts, and the configuration with each value's origin.

import { count, setting } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { ConfigurationValue, ReportInput, SplitFacts } from '../input.ts';
import type { ReportContext, Section } from './section.ts';
import { table } from './table.ts';

export function dataSection({ input }: ReportContext): Section {
  const { findings = [], splits: all } = input.dataset;
  return {
    id: 'data',
    nav: 'Data',
    title: 'Data and prompts',
    body: html`${facts(input)}${splits(all)}${
      findings.length > 0 &&
      html`<h3>Found by verification</h3><ul>${findings.map((finding) => html`<li>${finding}</li>`)}</ul>`
    }`,
  };
}

function facts({ dataset, evaluation, promptDescription }: ReportInput): Html {
  const sources = Object.entries(evaluation.prompts.sources).map(([source, n]) => `${source} (${count(n)})`);
  return html`<dl class="pairs"><dt>Data set</dt><dd>${dataset.name}</dd>${
    dataset.modality !== undefined && html`<dt>Modality</dt><dd>${dataset.modality}</dd>`
  }<dt>Classes</dt><dd>${dataset.classes.map((one) => `${one.name} (${one.id})`).join(', ')}</dd><dt>Prompts</dt><dd>${[
    promptDescription,
    evaluation.prompts.use !== undefined && `given: ${evaluation.prompts.use.join(', ') || 'nothing'}`,
    sources.join(', '),
    evaluation.prompts.oracle
      ? 'made from ground truth'
      : 'made without the ground truth of the evaluated cases',
  ]
    .filter(Boolean)
    .join('; ')}</dd></dl>`;
}

function splits(all: readonly SplitFacts[]): Html {
  if (all.length === 0) return html`<p class="missing">No splits recorded.</p>`;
  const total = all.reduce((sum, split) => sum + split.cases, 0);
  const groups = all.some((split) => split.groups !== undefined);
  return table<SplitFacts>({
    columns: [
      { head: 'Split', header: true, cell: (split) => split.name },
      { head: 'Cases', numeric: true, cell: (split) => count(split.cases), sort: (split) => split.cases },
      {
        head: 'Share (%)',
        numeric: true,
        cell: (split) => ((split.cases / total) * 100).toFixed(1),
        sort: (split) => split.cases,
      },
      ...(groups
        ? [
            {
              head: 'Groups (patients)',
              numeric: true,
              cell: (split: SplitFacts) => count(split.groups),
              sort: (split: SplitFacts) => split.groups,
            },
          ]
        : []),
    ],
    rows: total > 0 ? all : [],
    snug: true,
  });
}

export function configurationSection({ input }: ReportContext): Section {
  const values = input.run?.configuration ?? [];
  const chosen = values.filter((value) => value.origin !== 'default');
  return {
    id: 'configuration',
    nav: 'Configuration',
    title: 'Configuration',
    body:
      values.length === 0
        ? html`<p class="missing">The run's configuration was not handed to this report.</p>`
        : html`<p class="lede">${count(chosen.length)} of ${count(values.length)} values were set by a flag, a file or a preset; the others are defaults.</p>${
            chosen.length > 0 && configurationTable(chosen, false)
          }<details><summary>All values<span class="sub">${count(values.length)} rows</span></summary>${configurationTable(values, true)}</details>`,
  };
}

function configurationTable(values: readonly ConfigurationValue[], tall: boolean): Html {
  return table<ConfigurationValue>({
    columns: [
      {
        head: 'Key',
        header: true,
        cell: (value) => html`<code>${value.key}</code>`,
        sort: (value) => value.key,
      },
      {
        head: 'Value',
        cell: (value) => html`<code>${setting(value.value)}</code>`,
        sort: (value) => setting(value.value),
      },
      {
        head: 'Origin',
        cell: (value) =>
          html`<span class="${value.origin === 'default' ? 'origin' : 'origin set'}">${value.origin}</span>`,
        sort: (value) => value.origin,
      },
    ],
    rows: values,
    tall,
  });
}
