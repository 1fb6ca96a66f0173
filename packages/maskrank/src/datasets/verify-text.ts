// A verification report in words for a terminal. Not here: finding anything (verify.ts), colours.

import type { Finding, FindingKind, Severity, VerifyReport } from './verify.ts';

export type VerifyTextOptions = {
  /** Findings of one kind that are spelled out; the rest are counted. Default 10. */
  readonly perKind?: number;
};

/** What each kind means and what to do about it. */
const HEADINGS: Record<FindingKind, string> = {
  'missing-file': 'missing files: restore them, or import again',
  'unreadable-file': 'files that cannot be decoded: replace them, or leave the cases out',
  'changed-file': 'files changed since the import: restore them, or import again',
  'size-mismatch': 'masks of another size than their image: export them again',
  'mask-values': 'masks with values other than 0 and 255: import again',
  'empty-mask': 'masks without a pixel: mark the case as empty, or correct the mask',
  'constant-image': 'images of one value: leave them out',
  'full-mask': 'masks that cover the whole image: inverted, or a placeholder?',
  'contradicting-masks': 'the same image with different masks: leave one or both out',
  'duplicate-across-splits':
    'the same image in training and in the hold-out: put them into one group and divide again',
  duplicate: 'the same image twice: leave one out, or put them into one group',
  'near-duplicate-across-splits':
    'images that look alike in training and in the hold-out: the test may be too easy',
  'near-duplicate-across-groups':
    'images that look alike in different groups: put them into one group before dividing',
  'near-duplicate': 'images that look alike within a group',
  'group-across-splits': 'groups torn between training and hold-out: divide again',
  'stale-splits': 'the division does not fit the dataset: divide again',
  'vanishing-mask': 'masks that vanish at the size of the model: scale masks by area',
  'unused-class': 'classes that no case shows',
  'stray-file': 'files that dataset.json does not name',
};

const LABELS: Record<Severity, string> = { error: 'ERROR', warning: 'WARNING', info: 'INFO' };

/** Grouped by kind, errors first, with a summary as the first line. */
export function formatVerifyReport(report: VerifyReport, { perKind = 10 }: VerifyTextOptions = {}): string {
  const { error, warning, info } = report.counts;
  const head = `${report.name}: ${report.cases} cases, ${report.files} files: ${error} error(s), ${warning} warning(s), ${info} remark(s)`;
  const kinds = new Map<FindingKind, Finding[]>();
  for (const finding of report.findings)
    kinds.set(finding.kind, [...(kinds.get(finding.kind) ?? []), finding]);
  const blocks = [...kinds].map(([kind, findings]) => {
    const lines = findings.slice(0, perKind).map((f) => `    ${subject(f)}${f.message}`);
    if (findings.length > perKind) lines.push(`    … and ${findings.length - perKind} more`);
    return [`${LABELS[findings[0]!.severity]} ${HEADINGS[kind]} (${findings.length})`, ...lines].join('\n');
  });
  return [head, ...blocks].join('\n');
}

function subject({ files }: Finding): string {
  if (files.length === 0) return '';
  const shown = files.slice(0, 3).join(', ');
  return `${shown}${files.length > 3 ? `, … (${files.length})` : ''}: `;
}
