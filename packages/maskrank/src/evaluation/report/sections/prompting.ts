// How the prompts came to be that nobody drew: what was found, how good it is where masks are known, and the words.

import { count, decimal, percent } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { PromptedClassFacts, PromptingFacts, PromptQualityRow, PromptTextExample } from '../input.ts';
import { tile } from './cases.ts';
import type { ReportContext, Section } from './section.ts';
import { table } from './table.ts';

export function promptingSection({ input: { prompting } }: ReportContext): Section | undefined {
  if (prompting === undefined) return undefined;
  return {
    id: 'prompting',
    nav: 'Prompts',
    title: 'Prompts with nobody in the loop',
    body: html`<p class="lede">From an image and the name of a class: where the vision-language network looks for it, the regions that a dense CRF keeps of that, their boxes and points, and words.</p>${found(prompting.classes)}${sheet(prompting)}${quality(prompting.quality)}${texts(prompting.texts)}`,
  };
}

function found(classes: readonly PromptedClassFacts[]): Html {
  return table<PromptedClassFacts>({
    columns: [
      { head: 'Class', header: true, cell: ({ name }) => name },
      {
        head: 'Prompts',
        numeric: true,
        cell: ({ prompts }) => count(prompts),
        sort: ({ prompts }) => prompts,
      },
      {
        head: 'Regions found',
        unit: '%',
        numeric: true,
        cell: (one) => percent(one.prompts === 0 ? null : one.found / one.prompts),
        sort: (one) => one.found / Math.max(1, one.prompts),
      },
      {
        head: 'Boxes',
        unit: 'mean',
        numeric: true,
        cell: ({ boxes }) => decimal(boxes, 2),
        sort: ({ boxes }) => boxes,
      },
      {
        head: 'Points',
        unit: 'mean',
        numeric: true,
        cell: ({ points }) => decimal(points, 2),
        sort: ({ points }) => points,
      },
      {
        head: 'Answers',
        numeric: true,
        cell: ({ answers }) => count(answers),
        sort: ({ answers }) => answers,
      },
      {
        head: 'Knowledge',
        numeric: true,
        cell: ({ knowledge }) => count(knowledge),
        sort: ({ knowledge }) => knowledge,
      },
    ],
    rows: classes,
    snug: true,
  });
}

function sheet({ sheet: picture }: PromptingFacts): Html | false {
  return (
    picture !== undefined &&
    html`<h3>Examples</h3><div class="sheet">${tile(picture, 'Image, saliency, kept foreground, boxes and points of some cases', 'Cases chosen by the seed, not by how they look. Click to enlarge.')}</div>`
  );
}

function quality(rows: readonly PromptQualityRow[]): Html | false {
  if (rows.length === 0) return false;
  return html`<h3>Against the masks</h3>${table<PromptQualityRow>({
    columns: [
      { head: 'Split', header: true, cell: ({ split }) => split },
      { head: 'Class', cell: (row) => row.class, sort: (row) => row.class },
      { head: 'Prompt', cell: ({ source }) => source, sort: ({ source }) => source },
      { head: 'Cases', numeric: true, cell: ({ cases }) => count(cases), sort: ({ cases }) => cases },
      ...(
        [
          ['Box IoU', 'boxIou'],
          ['IoU ≥ 0.5', 'boxIou50'],
          ['Centre on it', 'boxHit'],
          ['Points on it', 'pointPrecision'],
        ] as const
      ).map(([head, key]) => ({
        head,
        unit: '%',
        numeric: true,
        cell: (row: PromptQualityRow) => percent(row[key]),
        sort: (row: PromptQualityRow) => row[key] ?? undefined,
      })),
    ],
    rows,
    freeze: true,
  })}<p class="fine">Beside what saliency found: a box of half the image’s sides in its middle, and the whole image. Prompts that are no better than these say nothing. Measured on cases in which the class is present; the prompts themselves were made without masks.</p>`;
}

function texts(examples: readonly PromptTextExample[]): Html | false {
  if (examples.length === 0) return false;
  return html`<h3>Words</h3>${table<PromptTextExample>({
    columns: [
      { head: 'Case', header: true, cell: (one) => one.case },
      { head: 'Class', cell: (one) => one.class },
      { head: 'Answer to the visual question', cell: ({ answer }) => answer ?? '–' },
      { head: 'General knowledge', cell: ({ knowledge }) => knowledge ?? '–' },
    ],
    rows: examples,
    sortable: false,
  })}`;
}
