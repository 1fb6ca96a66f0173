// The table of the stages once more, with a volume in the place of an image: for runs whose images are slices.

import { html } from '../html.ts';
import { viewOf } from '../view.ts';
import type { ReportContext, Section } from './section.ts';
import { averagingPanel } from './stages.ts';

export function volumesSection({ input }: ReportContext): Section | undefined {
  const { volumes, ...evaluation } = input.evaluation;
  if (volumes === undefined) return undefined;
  const view = viewOf({ ...input, evaluation: { ...evaluation, ...volumes } });
  const shown = view.averagings.filter((averaging) => averaging.rows.length > 0);
  const count = new Set(volumes.cases.map((record) => record.case)).size;
  const isMm = volumes.tolerances.every(({ unit }) => unit === 'mm');
  return {
    id: 'volumes',
    nav: 'By volume',
    title: 'Result by volume',
    body: html`<p class="lede">The same masks, the slices of each of ${count} volumes put together and measured in three dimensions${
      isMm ? ', in millimetres' : '; no spacing is known, so distances are in voxels'
    }. A slice that nobody masked counts as empty. Mean over volumes, where the table says images.</p><div data-tabs="Averaging">${shown.map(
      (averaging) =>
        averagingPanel(averaging, view.metrics, { classes: view.classes.length > 1, prefix: 'volumes' }),
    )}</div>`,
  };
}
