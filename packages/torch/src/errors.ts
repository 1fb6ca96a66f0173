// Errors by who must act. Every message says who failed, what is wrong, what was found, what is allowed
// and what to do. Not here: formatting for the terminal and exit codes (maskrank's cli).

/** Base of all errors that this project raises on purpose; anything else is a defect. */
export abstract class MaskrankError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** The caller asked for something impossible: unknown flag, bad argument, wrong order of calls. Exit code 2. */
export class UsageError extends MaskrankError {}

/** A file or data set is missing, damaged or inconsistent. Exit code 3. */
export class DataError extends MaskrankError {}

/** The engine (libtorch, its operators, a device, memory) refused or is missing. Exit code 4. */
export class EngineError extends MaskrankError {}
