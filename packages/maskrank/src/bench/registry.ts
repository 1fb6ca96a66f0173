// All benches by name, each loaded when it is asked for.

import type { Bench } from './types.ts';

export const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  'op-call': async () => (await import('./op-call.ts')).opCall,
  matmul: async () => (await import('./matmul.ts')).matmul,
  'vit-b': async () => (await import('./vit-b.ts')).vitB,
  'sam-embed': async () => (await import('./sam-embed.ts')).samEmbed,
  'stage2-step': async () => (await import('./stage2-step.ts')).stage2Step,
  'surface-dice': async () => (await import('./surface-dice.ts')).surfaceDiceBench,
  'dense-crf': async () => (await import('./dense-crf.ts')).denseCrfBench,
  gscorecam: async () => (await import('./gscorecam.ts')).gscorecam,
  phantoms: async () => (await import('./phantoms.ts')).phantoms,
  leaks: async () => (await import('./leaks.ts')).leaks,
};
