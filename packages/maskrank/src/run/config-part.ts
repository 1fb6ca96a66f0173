// Which keys belong to a part of the configuration. By itself, so that parsing a command line loads no schema.

/** True where one of the parts is the key itself, or a section that holds it: `training` for `training.augmentation.noise`. */
export const isWithin = (path: string, parts: readonly string[]): boolean =>
  parts.some((part) => path === part || path.startsWith(`${part}.`));
