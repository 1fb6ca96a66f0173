// Which keys belong to a part of the configuration. By itself, so that parsing a command line loads no schema.

/** True where one of the parts is a section that holds the key: `training` or `training.augmentation` for `training.augmentation.noise`. */
export const isWithin = (path: string, parts: readonly string[]): boolean =>
  parts.some((part) => path.startsWith(`${part}.`));
