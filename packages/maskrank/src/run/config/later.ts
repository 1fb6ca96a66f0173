// Keys that came after results were made without them. Their names in a folder, a job or a checkpoint are hashes of the configuration, and
// must not change because a key came that nobody set.

import type { z } from 'zod';

/** In the schema's metadata, and so in its JSON Schema. */
export const LATER = 'later';

/** Marks a key whose default is what was done before it came: only another value enters hashes. */
export const later = <S extends z.ZodType>(schema: S): S => schema.meta({ [LATER]: true });
