// Probabilities as networks give them.

/** The logit above which a probability is above `p`, 0 < p < 1. */
export const logit = (p: number): number => Math.log(p / (1 - p));
