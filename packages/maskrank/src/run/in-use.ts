// The error of a command that comes too early. In a file of its own: the command line knows it before anything heavy is loaded.

import { UsageError } from '@maskrank/torch/errors';

/** Another process holds what this one needs: nothing is wrong with the command. Exit code 2. */
export class InUseError extends UsageError {}
