// Loads SAM and SAM-Med2D from files: sam_vit_{b,l,h}, sam-med2d_b, MedSAM (which is a sam_vit_b) and this project's own, as
// .pth, .pt or .safetensors. Position tables follow the image size; what a file may lack is stated here, rule by rule; every
// other difference is an error that lists all of them.
// Not here: the formats (@maskrank/torch/io), names and downloads of files (weights registry).

import { type Generator, nn } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';
import { readWeightFile } from '../weight-file.ts';
import { type AdaptedState, adaptState, MASK_HEADS, TEXT_BRANCH } from './adapt-state.ts';
import type { SamConfig } from './config.ts';
import { describeSam, inferSamConfig } from './infer-config.ts';
import { Sam } from './sam.ts';

export type LoadSamOptions = {
  /** The network to build. Default: the one that the file's shapes describe. */
  readonly config?: SamConfig;
  /** Draws what the file lacks. */
  readonly generator: Generator;
  /** `fresh`: don't take over mask tokens, hypernetworks and IoU head. Default `load`. */
  readonly heads?: 'load' | 'fresh';
  /** `fresh`: don't take over the text branch; it starts as nothing. Default `load`. */
  readonly text?: 'load' | 'fresh';
  /** Told, in sentences, what was resized, drawn anew or left unused. */
  readonly warn?: (text: string) => void;
};

/** What a load did. */
export type LoadSamReport = {
  /** The configuration that the file's shapes describe. */
  readonly found: SamConfig;
  /** Position tables that were resized, with both shapes. */
  readonly resized: AdaptedState['resized'];
  /** Parameters that the file does not give: freshly drawn. */
  readonly fresh: readonly string[];
  /** Tensors of the file that the network has no place for. */
  readonly unused: readonly string[];
  /** What else the file holds (an optimiser, an epoch), as `key: description`. */
  readonly ignored: readonly string[];
};

/** A part of the network that a file may lack, or may have for nothing. */
type OptionalPart = { readonly keys: RegExp; readonly name: string };

const OPTIONAL: Readonly<Record<'text' | 'adapters' | 'lora', OptionalPart>> = {
  text: { keys: TEXT_BRANCH, name: 'the text branch' },
  adapters: { keys: /^image_encoder\.blocks\.\d+\.Adapter\./, name: 'the adapters' },
  lora: { keys: /^image_encoder\.blocks\.\d+\.attn\.lora\./, name: 'the low-rank updates' },
};

/** SAM's code registers these as buffers that some exports write out; they are constants here. */
const CONSTANT_BUFFERS = /^pixel_(mean|std)$/;

const ENDINGS = ['.pth', '.pt', '.safetensors'] as const;

/** The network with the file's weights. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadSam(path: string, options: LoadSamOptions): Promise<Sam> {
  const { sam, report } = await loadSamCheckpoint(path, options);
  for (const line of describeLoad(report, sam.config)) options.warn?.(`${path}: ${line}`);
  return sam;
}

/** As `loadSam`, with the report instead of warnings. */
export async function loadSamCheckpoint(
  path: string,
  options: LoadSamOptions,
): Promise<{ readonly sam: Sam; readonly report: LoadSamReport }> {
  const file = await readWeightFile(path, { who: 'loadSam', allowed: ENDINGS });
  const { sam, report } = samFromState(file.tensors, { ...options, source: path });
  return { sam, report: { ...report, ignored: file.ignored } };
}

/** As `loadSamCheckpoint`, from tensors in memory. `source` opens messages. */
export function samFromState(
  tensors: ReadonlyMap<string, TensorData>,
  { config, generator, heads = 'load', text = 'load', source }: LoadSamOptions & { readonly source: string },
): { readonly sam: Sam; readonly report: LoadSamReport } {
  const found = inferSamConfig(tensors, source);
  const sam = new Sam(config ?? found);
  try {
    const shapes = sam.stateDict();
    const { globalBlocks } = sam.config.encoder;
    const { tensors: state, resized, dropped } = adaptState(tensors, shapes, { globalBlocks, heads, text });
    const rules = Object.values(OPTIONAL).map((part) => part.keys);
    const isLacking = [...shapes.keys()].some((key) => !state.has(key) && !OPTIONAL.text.keys.test(key));
    if (isLacking) nn.initialise(sam, generator);
    const { missing, unexpected } = nn.loadStateDict(sam, state, {
      source: `${source} (${describeSam(found)})`,
      allowMissing: heads === 'fresh' ? [...rules, MASK_HEADS] : rules,
      allowUnexpected: [...rules, CONSTANT_BUFFERS],
    });
    const unused = [...unexpected.filter((key) => !CONSTANT_BUFFERS.test(key)), ...dropped];
    return { sam, report: { found, resized, fresh: missing, unused, ignored: [] } };
  } catch (error) {
    sam.dispose();
    throw error;
  }
}

/** The report in sentences; none when everything was taken over as it is. The text branch is not worth one. */
export function describeLoad(
  { found, resized, fresh, unused, ignored }: LoadSamReport,
  config: SamConfig,
): string[] {
  const parts = (keys: readonly string[]): string => {
    const names = Object.values(OPTIONAL).filter((part) => keys.some((key) => part.keys.test(key)));
    const heads = keys.some((key) => MASK_HEADS.test(key)) ? ['the mask heads'] : [];
    return [...names.map((part) => part.name), ...heads].join(' and ');
  };
  const drawn = fresh.filter((key) => !OPTIONAL.text.keys.test(key));
  const lines: string[] = [];
  if (resized.length > 0) {
    lines.push(
      `position tables resized from ${found.imageSize} px to ${config.imageSize} px (${resized.length} tensors)`,
    );
  }
  if (drawn.length > 0) lines.push(`${parts(drawn)} not in the file, drawn anew (${drawn.length} tensors)`);
  if (unused.length > 0) lines.push(`${parts(unused)} not used (${unused.length} tensors)`);
  if (ignored.length > 0) lines.push(`beside the weights, not read: ${ignored.join('; ')}`);
  return lines;
}
