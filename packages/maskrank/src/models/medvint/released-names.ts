// Names in released files -> names in the network. What lies around LLaMA's own names depends on who saved it: MedVInT's
// trainer puts `llamacasual.base_model.model.` in front (peft's wrappers), newer peft adds `.base_layer` and `.default`, and
// LLaMA's own files have nothing in front. Not here: shapes, reading.

/** One wrapper of DataParallel, which some trainers leave. */
const PARALLEL = /^module\./;
const IN_FRONT_OF_LLAMA = /^(?:llamacasual\.)?(?:base_model\.model\.)?(?=(?:model|lm_head)\.)/;

/** The network's name of a tensor; low-rank updates as `….q_proj.lora_A.weight` and `….lora_B.weight`. */
export function networkName(released: string): string {
  return released
    .replace(PARALLEL, '')
    .replace(IN_FRONT_OF_LLAMA, 'llamacasual.')
    .replace(/\.base_layer\.weight$/, '.weight')
    .replace(/\.(lora_[AB])\.default\.weight$/, '.$1.weight');
}

/** What files may hold and the network computes itself. */
export function isRecomputed(name: string): boolean {
  return name.endsWith('.rotary_emb.inv_freq');
}

/** Whose low-rank update a tensor is: the name of the weight, and which factor; null for every other tensor. */
export function loraFactor(name: string): { readonly weight: string; readonly factor: 'A' | 'B' } | null {
  const match = /^(.*)\.lora_([AB])\.weight$/.exec(name);
  return match && { weight: `${match[1]}.weight`, factor: match[2] as 'A' | 'B' };
}
