// Weights that come with maskrank: small networks of the released models' classes, trained by its own recipes on its own
// phantoms. They lie in weights/NAME/{record.json, a file, files that belong to it, README.md}, as in the store. Each README.md
// is a model card. Not here: the recipes (pipeline/pretrain), who finds a name (store.ts).

import { folderBeside } from '../../util/beside.ts';

/** Folder of the shipped weights, absolute; null where they were left out. */
export const shippedFolder = (): string | null => folderBeside('weights');

/** What holds for all of them. */
export const SHIPPED_FACTS = {
  licence: 'Apache-2.0',
  trainedOn: 'phantoms that maskrank draws: no image of a patient',
} as const;
