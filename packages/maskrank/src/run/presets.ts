// Named overlays on the defaults. Not here: the order of layers (resolve.ts).

/** Values by key path; laid over the defaults, under the configuration file and the flags. */
export type Preset = Readonly<Record<string, unknown>>;

/** Presets of stage 2, by `alignment.preset`. */
export const alignmentPresets: Readonly<Record<'recommended' | 'paper', Preset>> = {
  // The schema's defaults are this preset: dropout proposals, refreshed every 100 steps, region likelihood with kappa 10.
  recommended: {},
  // The paper's letter: fixed thresholds of the stage-1 probabilities, one set for the whole stage, summed
  // log-likelihood, no anchor, 30 epochs at 1e-4. It gained about 2 points where `recommended` gained 8.
  paper: {
    'alignment.proposals.generator': 'thresholds',
    'alignment.proposals.thresholds': [0.3, 0.4, 0.5, 0.6],
    'alignment.refresh.everySteps': 0,
    'alignment.refresh.resync': 0,
    'alignment.loss.reduction': 'sum',
    'alignment.anchor.reference': 0,
    'alignment.minSteps': 1,
    'alignment.epochs': 30,
    'alignment.maxSteps': null,
  },
};
