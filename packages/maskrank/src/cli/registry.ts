// Every verb, in the order of the work. A verb is one file in verbs/ and one line here.

import type { Verb } from './verb.ts';
import doctor from './verbs/doctor.ts';

export const registry: readonly Verb[] = [doctor];
