// PMC-CLIP's image encoder as MedVInT uses it: CLIP's modified ResNet without its fourth stage and its attention pooling. Keys
// are places in a sequence, because the released model cuts the network as one. Shapes: B batch, S side of the image in px.

import { nn } from '@maskrank/torch';
import { ModifiedResNet } from '../clip/resnet.ts';
import type { VisionConfig } from './config.ts';

/** The parts that are cut off again, as small as they can be built. */
const REST = { kind: 'clip-resnet', imageSize: 32, heads: 1, embedDim: 1, lastBlocks: 1 } as const;

/** Image [B, 3, S, S] -> features [B, 16 width, S / 16, S / 16]. */
export function createVisionModel({ width, blocks }: VisionConfig): nn.Sequential {
  const { embedDim, lastBlocks, ...rest } = REST;
  const whole = new ModifiedResNet({ ...rest, width, stages: [...blocks, lastBlocks] }, embedDim);
  whole.layer4.dispose();
  whole.attnpool.dispose();
  return new nn.Sequential(
    ...[whole.conv1, whole.bn1, new nn.ReLU()],
    ...[whole.conv2, whole.bn2, new nn.ReLU()],
    ...[whole.conv3, whole.bn3, new nn.ReLU()],
    new nn.AvgPool2d(2),
    ...[whole.layer1, whole.layer2, whole.layer3],
  );
}
