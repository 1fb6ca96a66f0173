// Learning-rate schedules: pure functions from the number of updates (or epochs) done to a factor on the base rate.

export type Schedule = (done: number) => number;

/** Multiplied by `factor` every `every`. */
export const stepDecay =
  (options: { readonly every: number; readonly factor: number }): Schedule =>
  (done) =>
    options.factor ** Math.floor(done / options.every);

/** Multiplied by `factor` at each of the milestones. */
export const multiStep =
  (options: { readonly milestones: readonly number[]; readonly factor: number }): Schedule =>
  (done) =>
    options.factor ** options.milestones.filter((milestone) => done >= milestone).length;

/** (1 - done / total) ^ power: nnU-Net's, power 0.9. */
export const poly =
  (options: { readonly total: number; readonly power?: number }): Schedule =>
  (done) =>
    (1 - Math.min(done, options.total) / options.total) ** (options.power ?? 0.9);

/** Half a cosine from 1 to `floor` over `total`, and back up after it (Loshchilov & Hutter 2017, without restarts). */
export const cosine =
  (options: { readonly total: number; readonly floor?: number }): Schedule =>
  (done) => {
    const floor = options.floor ?? 0;
    return floor + ((1 - floor) * (1 + Math.cos((Math.PI * done) / options.total))) / 2;
  };

/** Linear from 1 / steps to 1 over the first `steps`, then `after`, counted from the start. */
export const warmUp =
  (options: { readonly steps: number; readonly after: Schedule }): Schedule =>
  (done) =>
    done < options.steps ? ((done + 1) / options.steps) * options.after(done) : options.after(done);

/** Up from 1 / div to 1 over the first share of `total`, then down to 1 / (div * finalDiv), by cosines (Smith & Topin 2018). */
export const oneCycle =
  (options: {
    readonly total: number;
    readonly rise?: number;
    readonly div?: number;
    readonly finalDiv?: number;
  }): Schedule =>
  (done) => {
    const { total, rise = 0.3, div = 25, finalDiv = 1e4 } = options;
    const top = rise * total - 1;
    const between = (from: number, to: number, share: number) =>
      to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
    return done <= top
      ? between(1 / div, 1, done / top)
      : between(1, 1 / (div * finalDiv), (done - top) / (total - 1 - top));
  };
