// Two clusters of numbers, exactly: of all splits of the sorted values the one with the least spread within the clusters.
// MedCLIP-SAMv2 asks scikit-learn for two clusters, which gives a local optimum from seeded starts; this needs no seed.

/**
 * The middle between the two clusters' means: values above it are the upper cluster. Undefined where all values are equal.
 * O(n log n).
 */
export function twoMeansThreshold(values: Float32Array): number | undefined {
  const sorted = values.slice().sort();
  const n = sorted.length;
  let total = 0;
  for (let i = 0; i < n; i++) total += sorted[i]!;
  let best = 0;
  let threshold: number | undefined;
  let below = 0;
  for (let count = 1; count < n; count++) {
    below += sorted[count - 1]!;
    if (sorted[count] === sorted[count - 1]) continue;
    // Least spread within is most between: count (n - count) / n (mean above - mean below)^2.
    const low = below / count;
    const high = (total - below) / (n - count);
    const between = count * (n - count) * (high - low) ** 2;
    if (between > best) {
      best = between;
      threshold = (low + high) / 2;
    }
  }
  return threshold;
}
