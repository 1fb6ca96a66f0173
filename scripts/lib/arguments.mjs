// Arguments of the proofs: what stands behind a flag.

/** Values after a flag, up to the next one. */
export function values(args, flag) {
  const at = args.indexOf(flag);
  if (at < 0) return [];
  const rest = args.slice(at + 1);
  const end = rest.findIndex((arg) => arg.startsWith('--'));
  return end < 0 ? rest : rest.slice(0, end);
}
