// What the numbers hang on: seed, device, versions, hashes, commands; how to cite; limits.

import { dateTime, duration } from '../format.ts';
import { type Html, type HtmlValue, html } from '../html.ts';
import type { CommandRecord, RunFacts } from '../input.ts';
import type { ReportContext, Section } from './section.ts';
import { table } from './table.ts';

export function provenanceSection({ input }: ReportContext): Section {
  const run = input.run;
  const hashes = { ...input.evaluation.madeFrom, ...run?.hashes };
  return {
    id: 'provenance',
    nav: 'Provenance',
    title: 'Provenance',
    body: html`${
      run === undefined &&
      html`<p class="missing">No record of the run was handed to this report: it cannot be reproduced from this page.</p>`
    }<div class="columns">${named('Run', general(run, input.evaluation.configHash))}${named('Versions', codes(run?.versions))}${named('Made from', codes(hashes))}</div>${commands(run?.commands ?? [])}`,
  };
}

function general(run: RunFacts | undefined, evaluationHash: string): Pair[] {
  return [
    ['Seed', run?.seed === undefined ? undefined : String(run.seed)],
    ['Device', run?.device],
    ['Configuration', run?.configurationHash && html`<code>${run.configurationHash}</code>`],
    ['Evaluation', html`<code>${evaluationHash}</code>`],
  ];
}

type Pair = readonly [string, HtmlValue];

function codes(record: Readonly<Record<string, string>> = {}): Pair[] {
  return Object.entries(record).map(([name, value]) => [name, html`<code>${value}</code>`]);
}

function named(title: string, rows: readonly Pair[]): Html | false {
  const given = rows.filter(([, value]) => value !== undefined && value !== '');
  return (
    given.length > 0 &&
    html`<div><h3>${title}</h3><dl class="pairs">${given.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div>`
  );
}

function commands(all: readonly CommandRecord[]): Html | false {
  return (
    all.length > 0 &&
    html`<h3>Commands</h3>${table<CommandRecord>({
      columns: [
        { head: 'Command', cell: (one) => html`<code>${one.command}</code>` },
        {
          head: 'Started',
          cell: (one) => (one.at === undefined ? '–' : dateTime(one.at)),
          sort: (one) => one.at,
        },
        { head: 'Took', numeric: true, cell: (one) => duration(one.elapsedMs), sort: (one) => one.elapsedMs },
        {
          head: 'Exit',
          numeric: true,
          cell: (one) => (one.exitCode === undefined ? '–' : String(one.exitCode)),
          sort: (one) => one.exitCode,
        },
      ],
      rows: all,
    })}`
  );
}

const CITATION = `@inproceedings{konwer2025enhancing,
  title     = {Enhancing {SAM} with Efficient Prompting and Preference Optimization
               for Semi-supervised Medical Image Segmentation},
  author    = {Konwer, Aishik and Yang, Zhijian and Bas, Erhan and Xiao, Cao and
               Prasanna, Prateek and Bhatia, Parminder and Kass-Hout, Taha},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision
               and Pattern Recognition (CVPR)},
  year      = {2025},
  note      = {arXiv:2503.04639}
}`;

export function citeSection({ input }: ReportContext): Section {
  const version = input.run?.versions?.maskrank;
  return {
    id: 'cite',
    nav: 'How to cite',
    title: 'How to cite',
    body: html`<p class="lede">Name the method's paper, the version of maskrank${version !== undefined && html` (${version})`} as its CITATION.cff says, and the data set's own reference. Give the configuration's hash so that others can tell runs apart.</p><pre>${CITATION}</pre>`,
  };
}

export function limitsSection({ input, view }: ReportContext): Section {
  const limits = [
    'Not for clinical use. This is a research measurement on the cases named above, not a medical device, and no basis for a diagnosis or a treatment.',
    'Intervals are bootstrap intervals over the test cases of one trained model. They do not contain the spread between labelled subsets, seeds or hospitals.',
    view.gain !== undefined &&
      'Rankings by the virtual annotator are made from ground truth that a person would not have. People rank less exactly and with habits of their own.',
    'Test images come from the same source as the training images unless the data set says otherwise; expect less on other scanners and populations.',
    input.evaluation.prompts.oracle && 'Prompts here were made from ground truth; see the banner at the top.',
    'A pretrained model may have seen public test images before. If so, all stages look better than they are, stage 1 most.',
  ].filter((limit) => limit !== false);
  return {
    id: 'limits',
    nav: 'Limits',
    title: 'Limits',
    body: html`<ul class="limits">${limits.map((limit) => html`<li>${limit}</li>`)}</ul>`,
  };
}
