// How keys are spelled as flags. Kept apart so that the parser needs no schema for it.

/** `training.batchSize` -> `--training.batch-size` */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
