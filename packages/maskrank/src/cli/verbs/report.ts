// `maskrank report`: writes RUN/report.html from what the other verbs left in the run.

import { defineVerb } from '../verb.ts';

export const report = defineVerb({
  name: 'report',
  summary: 'one self-contained page: curves, tables, cases, controls, configuration',
  examples: [
    ['maskrank report --run runs/breast', 'writes runs/breast/report.html'],
    ['maskrank report --run runs/breast --out breast.html', 'writes it elsewhere'],
  ],
  options: { out: { value: 'FILE', describe: 'where to write it; default RUN/report.html' } },
  runFolder: { mode: 'read' },
  run: async ({ runFolder, options, config, origins, out }) => {
    const { collectReportInput } = await import('../report-input.ts');
    const { renderReport } = await import('../../evaluation/report/render.ts');
    const { writeFileAtomic } = await import('@maskrank/torch/io');
    const page = renderReport(
      await collectReportInput(runFolder, { config, origins }, new Date().toISOString()),
    );
    const path = options.out ?? runFolder.paths.report;
    await writeFileAtomic(path, page);
    out(`wrote ${path} (${Math.ceil(Buffer.byteLength(page) / 1024)} KiB)`);
    return { result: { report: path }, next: `open ${path} in a browser` };
  },
});
