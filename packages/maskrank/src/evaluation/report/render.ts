// report.html: one file with everything in it. No clock, no random numbers, no network: equal input gives equal bytes, and the page's
// content policy forbids every load and every script but its own (admitted by hash).

import { createHash } from 'node:crypto';
import { html, trusted } from './html.ts';
import type { ReportInput } from './input.ts';
import { SCRIPT } from './script.ts';
import { casesSection } from './sections/cases.ts';
import { controlsSection } from './sections/controls.ts';
import { curvesSection } from './sections/curves.ts';
import { distributionSection } from './sections/distribution.ts';
import { head } from './sections/head.ts';
import { promptingSection } from './sections/prompting.ts';
import { citeSection, limitsSection, provenanceSection } from './sections/provenance.ts';
import { rankingSection } from './sections/ranking.ts';
import type { ReportContext, Section } from './sections/section.ts';
import { configurationSection, dataSection } from './sections/setup.ts';
import { stagesSection } from './sections/stages.ts';
import { volumesSection } from './sections/volumes.ts';
import { STYLE } from './style.ts';
import { viewOf } from './view.ts';

const SECTIONS: readonly ((context: ReportContext) => Section | undefined)[] = [
  stagesSection,
  volumesSection,
  controlsSection,
  distributionSection,
  casesSection,
  promptingSection,
  curvesSection,
  rankingSection,
  dataSection,
  configurationSection,
  provenanceSection,
  citeSection,
  limitsSection,
];

/** The whole page as a string. Throws nothing for missing parts: each says that it is missing. */
export function renderReport(input: ReportInput): string {
  const context: ReportContext = { input, view: viewOf(input) };
  const sections = SECTIONS.map((make) => make(context)).filter((section) => section !== undefined);
  const page = html`<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="${POLICY}"/>
<meta name="viewport" content="width=device-width,initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta name="referrer" content="no-referrer"/>
<meta name="generator" content="maskrank"/>
<title>${input.title} – maskrank report</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<nav aria-label="Contents"><div class="brand">${LOGO}<span>maskrank</span></div><ol>${sections.map(
    (section) => html`<li><a href="#${section.id}">${section.nav}</a></li>`,
  )}</ol><div class="tools"><button class="quiet" type="button" data-theme-switch="" hidden="" aria-label="Light or dark">${ICON}<span>Light / dark</span></button></div></nav>
<main>
${head(context)}
${sections.map(
  (section) => html`<section id="${section.id}" aria-labelledby="${section.id}-title">
<h2 id="${section.id}-title">${section.title}</h2>
${section.body}
</section>
`,
)}</main>
<script>${trusted(SCRIPT)}</script>
</body>
</html>
`;
  return `<!doctype html>\n${page.markup}`;
}

const ICON = html`<svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><circle class="outline" cx="8" cy="8" r="6.5"/><path class="half" d="M8 1.5a6.5 6.5 0 0 1 0 13z"/></svg>`;

// Four outlines in order, the first one filled.
const LOGO = html`<svg viewBox="0 0 22 22" aria-hidden="true"><path class="stroke tone-control" d="M3 11a8 8 0 1 1 16 0a8 8 0 1 1-16 0"/><path class="stroke tone-stage1" d="M6 11.5a5.2 5 0 1 1 10.4 0a5.2 5 0 1 1-10.4 0"/><circle class="fill tone-stage2" cx="11.4" cy="12" r="2.6"/></svg>`;

const POLICY = [
  "default-src 'none'",
  'img-src data:',
  `style-src '${digest(STYLE)}'`,
  `script-src '${digest(SCRIPT)}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
