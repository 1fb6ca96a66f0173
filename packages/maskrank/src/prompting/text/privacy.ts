// What text prompts send away, in a sentence for `doctor`, the log and a run's record: nothing, unless an endpoint is in use.

import { type Environment, isThisMachine, KEY_VARIABLE } from './address.ts';

/** The endpoints that are in use. */
export type TextEndpoints = {
  /** Base address of the endpoint that answers questions about images; null without one. */
  readonly answers?: string | null;
  /** Base address of the endpoint that describes classes; null without one. */
  readonly knowledge?: string | null;
};

const SENT = {
  answers: 'pixels of the images and questions',
  knowledge: 'names of classes and modality',
} as const satisfies Record<keyof TextEndpoints, string>;

/** Whether anything goes to another machine. */
export function leavesMachine(endpoints: TextEndpoints): boolean {
  return Object.values(endpoints).some((url) => typeof url === 'string' && !isLocal(url));
}

/** What goes where, as a sentence. */
export function privacyStatement(endpoints: TextEndpoints): string {
  const ways = (['answers', 'knowledge'] as const).flatMap((purpose) => {
    const url = endpoints[purpose] ?? null;
    if (url === null) return [];
    return [`${SENT[purpose]} go to ${url}${isLocal(url) ? ' on this machine' : ''}`];
  });
  const first = leavesMachine(endpoints) ? 'Data leave this machine' : 'Nothing leaves this machine';
  return `${first}: ${ways.length === 0 ? 'no endpoint is in use' : ways.join('; ')}.`;
}

/** For `doctor`, which knows no run: when data can leave at all, and whether a key is there. */
export function privacyOfMachine(environment: Environment = process.env): string {
  const key = (environment[KEY_VARIABLE] ?? '').trim() === '' ? 'not set' : 'set';
  return `nothing leaves this machine unless a run chooses and configures text.endpoint (${KEY_VARIABLE}: ${key})`;
}

const isLocal = (url: string): boolean => URL.canParse(url) && isThisMachine(new URL(url));
