// A section of the page: its place in the list of contents and its body.

import type { Html } from '../html.ts';
import type { ReportInput } from '../input.ts';
import type { View } from '../view-types.ts';

export type ReportContext = { readonly input: ReportInput; readonly view: View };

export type Section = {
  /** Anchor, a constant of the section's file. */
  readonly id: string;
  /** Short name in the list of contents. */
  readonly nav: string;
  readonly title: string;
  readonly body: Html;
};
