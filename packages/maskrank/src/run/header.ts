// The header that every artefact of a run carries: which configuration it was made with and from which files.
// A stale artefact is refused, never guessed. Not here: which verbs make which artefacts.

import { DataError } from '@maskrank/torch/errors';

export type ArtefactHeader = {
  readonly schemaVersion: number;
  /** `configHash` over the sections that shaped the artefact. */
  readonly configHash: string;
  /** Hash of each thing it was made from, by name: `dataset`, `checkpoint stage1`, `proposals`. */
  readonly madeFrom: Readonly<Record<string, string>>;
};

export type HeaderExpectation = {
  /** Newest version this code reads. */
  readonly schemaVersion: number;
  /** Left out where any configuration will do. */
  readonly configHash?: string;
  /** Every named hash must be in the header and equal; names that only the header has are not compared. */
  readonly madeFrom: Readonly<Record<string, string>>;
  /** Command that makes the artefact anew: `maskrank propose --run runs/a`. */
  readonly rerun: string;
};

/** Throws DataError unless the artefact at `path` was made by this version, configuration and inputs. */
export function refuseStale(
  path: string,
  header: ArtefactHeader | undefined,
  expected: HeaderExpectation,
): void {
  const remedy = `Make it anew: ${expected.rerun}`;
  if (header === undefined)
    throw new DataError(`${path}: has no header, so nobody knows what it was made from. ${remedy}`);
  if (header.schemaVersion !== expected.schemaVersion)
    throw new DataError(
      `${path}: schemaVersion = ${header.schemaVersion}, allowed: ${expected.schemaVersion}. ${
        header.schemaVersion > expected.schemaVersion ? `It is of a newer maskrank. ${remedy}` : remedy
      }`,
    );
  const differences = Object.entries(expected.madeFrom).flatMap(([name, hash]) => {
    const found = header.madeFrom[name];
    return found === hash ? [] : [`made from ${name} ${short(found)}, now it is ${short(hash)}`];
  });
  if (expected.configHash !== undefined && header.configHash !== expected.configHash)
    differences.push(
      `made with configuration ${short(header.configHash)}, now it is ${short(expected.configHash)}`,
    );
  if (differences.length > 0) throw new DataError(`${path}: is stale: ${differences.join('; ')}. ${remedy}`);
}

const KEY = 'maskrank';

/** The header as metadata of a safetensors file. */
export const headerToMetadata = (header: ArtefactHeader): Record<string, string> => ({
  [KEY]: JSON.stringify(header),
});

/** The header out of a safetensors file's metadata; undefined when there is none. */
export function headerFromMetadata(metadata: Readonly<Record<string, string>>): ArtefactHeader | undefined {
  const text = metadata[KEY];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as ArtefactHeader;
  } catch {
    return undefined;
  }
}

const short = (hash: string | undefined) => (hash === undefined ? '(unknown)' : hash.slice(0, 12));
