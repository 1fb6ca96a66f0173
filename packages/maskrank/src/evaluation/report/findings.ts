// What the report claims, in words: the headline, and the banners that take it back where a control, the prompts or the
// interval do not carry it. A gain is only called one when its interval lies above zero.

import { decimal, interval, percent, plural, points } from './format.ts';
import { type Html, html, join } from './html.ts';
import type { ReportInput, ReportWarning } from './input.ts';
import type { ControlView, Estimate, View } from './view-types.ts';

export type Finding = {
  /** One sentence: what was gained, with its interval, and what the nearest control gives. */
  readonly headline: Html;
  /** What else belongs beside it. */
  readonly aside?: Html | undefined;
  readonly banners: readonly ReportWarning[];
};

export function findings(input: ReportInput, view: View): Finding {
  return {
    ...(view.gain === undefined ? { headline: withoutAlignment(view) } : withAlignment(view, view.gain)),
    banners: [...ownBanners(input, view), ...(input.warnings ?? [])].toSorted(
      (a, b) => SEVERITY[a.severity] - SEVERITY[b.severity],
    ),
  };
}

const SEVERITY: Readonly<Record<ReportWarning['severity'], number>> = { alarm: 0, caution: 1, note: 2 };

function isExplained(controls: readonly ControlView[]): boolean {
  return controls.some((control) => control.kind === 'rival' && control.explains === 'explains');
}

function withoutAlignment(view: View): Html {
  const stage = view.stage1 ?? view.stages[0];
  const dice = stage && view.headline.get(stage.key);
  if (stage === undefined || dice === undefined) return html`This evaluation holds no results yet.`;
  const reached = html`${stage.label} reaches a mean Dice of <span class="number">${percent(dice.mean)} %</span> ${range(dice, percent)}${cases(dice)}`;
  if (view.stage1 === undefined) return html`${reached}.`;
  return view.stage2 === undefined
    ? html`${reached}; alignment has not been evaluated yet.`
    : html`${reached}; alignment was evaluated but not compared case by case.`;
}

// `attributable`: controls were run and none explains the gain; only then is it shown as one.
function verdict(gain: Estimate, attributable: boolean): Html {
  const number = points(gain.mean);
  const [low, high] = gain.ci95 ?? [Number.NaN, Number.NaN];
  if (low > 0) {
    return html`Alignment gains <span class="${attributable ? 'gain' : 'number'}">${number} Dice points</span> ${range(gain, points)} over stage 1`;
  }
  if (high < 0) {
    return html`Alignment <span class="loss">loses ${decimal(-gain.mean * 100, 1)} Dice points</span> ${range(gain, points)} against stage 1`;
  }
  return html`Alignment shows no reliable gain: <span class="number">${number} Dice points</span> ${range(gain, points)} against stage 1`;
}

function withAlignment(view: View, gain: Estimate): Pick<Finding, 'headline' | 'aside'> {
  const gained = (gain.ci95?.[0] ?? Number.NaN) > 0;
  const rivals = view.controls
    .filter((control) => control.kind === 'rival' && control.gain !== undefined)
    .toSorted((a, b) => b.gain!.mean - a.gain!.mean);
  const explained = isExplained(view.controls);
  const claim = verdict(gain, rivals.length > 0 && !explained);
  const strongest = rivals[0];
  if (strongest === undefined) {
    const end = gained
      ? 'no control was run, so it cannot be attributed to the rankings'
      : 'no control was run';
    return { headline: html`${claim}; ${end}.` };
  }
  const continued = rivals.find((control) => control.key === 'continued');
  const named = gained && explained ? strongest : (continued ?? strongest);
  const what =
    named.key === 'continued' ? 'continuing stage 1 for the same number of steps' : lower(named.label);
  return {
    headline: html`${claim}${gained && explained ? ', but ' : '; '}${what} gives ${amount(named.gain!)}.`,
    aside: asideOf(
      rivals,
      named,
      view.controls.find((control) => control.kind === 'ceiling'),
      view.classes.length - 1,
    ),
  };
}

function asideOf(
  rivals: readonly ControlView[],
  named: ControlView,
  ceiling: ControlView | undefined,
  classes: number,
): Html | undefined {
  const others = rivals
    .filter((control) => control !== named)
    .map((control) => html`${lower(control.label)} ${amount(control.gain!)}`);
  const sentences = [
    classes > 1 && html`Dice is the mean over ${classes} classes.`,
    others.length > 0 && html`Other controls over stage 1: ${join(others, ', ')}.`,
    ceiling?.gain !== undefined && html`Full masks of the same images would give ${amount(ceiling.gain)}.`,
  ].filter((sentence) => sentence !== false);
  return sentences.length > 0 ? join(sentences, ' ') : undefined;
}

function amount(gain: Estimate): Html {
  return html`<span class="number">${points(gain.mean)}</span> ${range(gain, points)}`;
}

function range(estimate: Estimate, write: (value: number) => string): Html | false {
  return estimate.ci95 !== undefined && html`<span class="range">${interval(estimate.ci95, write)}</span>`;
}

function cases(estimate: Estimate): string {
  return estimate.n === undefined ? '' : ` on ${plural(estimate.n, 'case')}`;
}

function lower(label: string): string {
  return label.charAt(0).toLowerCase() + label.slice(1);
}

function ownBanners(input: ReportInput, view: View): ReportWarning[] {
  const banners: ReportWarning[] = [];
  if (input.evaluation.prompts.oracle) banners.push(oracleBanner(input.promptDescription));
  if (input.evaluation.dataset.split !== 'test') {
    banners.push({
      severity: 'caution',
      title: 'Not the test split',
      text: `These cases are the ${input.evaluation.dataset.split} split. Choices made on it make its numbers look better than they are.`,
    });
  }
  if (view.gain === undefined) {
    if (view.stage1 === undefined) {
      banners.push({
        severity: 'note',
        title: 'Baselines only',
        text: 'This run has no stage 1. Fine-tune in it to see both in one table.',
      });
    } else if (view.stage2 === undefined) {
      banners.push({
        severity: 'note',
        title: 'Stage 1 only',
        text: 'This run has no aligned checkpoint yet. Propose, rate and align, then evaluate and write the report again.',
      });
    }
    return banners;
  }
  const gained = (view.gain.ci95?.[0] ?? Number.NaN) > 0;
  if (gained) banners.push(...controlBanners(view.controls));
  return banners;
}

function oracleBanner(description: string | undefined): ReportWarning {
  const how = description === undefined ? '' : ` (${description})`;
  return {
    severity: 'caution',
    title: 'Oracle prompts',
    text: `Prompts of the evaluated cases were derived from their own ground-truth masks${how}. This measures the model given good prompts, not a system that finds the structure by itself; expect less on images without masks.`,
  };
}

function controlBanners(controls: readonly ControlView[]): ReportWarning[] {
  const named = (explains: ControlView['explains']) =>
    controls.filter((control) => control.kind === 'rival' && control.explains === explains);
  const list = (chosen: readonly ControlView[]) =>
    chosen.map((control) => `${lower(control.label)} (${points(control.gain?.mean)})`).join(', ');
  const missing = controls.filter((control) => control.kind === 'rival' && control.gain === undefined);
  const banners: ReportWarning[] = [];
  if (named('explains').length > 0) {
    banners.push({
      severity: 'alarm',
      title: 'A control explains the gain',
      text: `At least as much as alignment gives: ${list(named('explains'))}. The gain over stage 1 is then no evidence that the rankings helped.`,
    });
  }
  if (named('may').length > 0) {
    banners.push({
      severity: 'caution',
      title: 'A control may explain the gain',
      text: `Not told apart from alignment on these cases: ${list(named('may'))}. More test cases or more seeds would decide.`,
    });
  }
  if (missing.length > 0) {
    banners.push({
      severity: 'caution',
      title:
        missing.length === controls.filter((c) => c.kind === 'rival').length
          ? 'No controls'
          : 'Controls missing',
      text: `Not run: ${missing.map((control) => lower(control.label)).join(', ')}. Until they are, more training alone could be the reason for the gain.`,
    });
  }
  return banners;
}
