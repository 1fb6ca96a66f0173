// Forward and backward of a plain ViT-B encoder (Dosovitskiy 2021: 12 layers, 768 channels, 12 heads), 256 tokens, batch 4,
// float32, beside the same in Python's PyTorch. The blocks: x + attention(norm(x)), x + mlp(norm(x)); the loss: the mean.
// Letters: B batch, L tokens, C channels.

import { Generator, nn, type Tensor, tidy } from '@maskrank/torch';
import { alternate, matmulRate, median, normals, timed } from './measure.ts';
import { startPythonPeer } from './python-peer.ts';
import type { Bench, BenchResult } from './types.ts';

const [B, L, C, LAYERS, HEADS] = [4, 256, 768, 12, 12];

class Block extends nn.Layer {
  readonly norm1 = new nn.LayerNorm(C);
  readonly qkv = new nn.Linear(C, 3 * C);
  readonly proj = new nn.Linear(C, C);
  readonly norm2 = new nn.LayerNorm(C);
  readonly fc1 = new nn.Linear(C, 4 * C);
  readonly fc2 = new nn.Linear(4 * C, C);

  override forward(x: Tensor): Tensor {
    const [q, k, v] = this.qkv
      .forward(this.norm1.forward(x))
      .view([B, L, 3, HEADS, C / HEADS])
      .permute([2, 0, 3, 1, 4]) // [3, B, heads, L, d]
      .unbind(0) as [Tensor, Tensor, Tensor];
    const attended = nn.scaledDotProductAttention(q, k, v).transpose(1, 2).reshape([B, L, C]);
    const y = x.add(this.proj.forward(attended));
    return y.add(this.fc2.forward(this.fc1.forward(this.norm2.forward(y)).gelu()));
  }
}

const PYTHON = `
import torch
from torch import nn
import torch.nn.functional as F

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(${C}), nn.LayerNorm(${C})
        self.qkv, self.proj = nn.Linear(${C}, ${3 * C}), nn.Linear(${C}, ${C})
        self.fc1, self.fc2 = nn.Linear(${C}, ${4 * C}), nn.Linear(${4 * C}, ${C})

    def forward(self, x):
        qkv = self.qkv(self.norm1(x)).view(${B}, ${L}, 3, ${HEADS}, ${C / HEADS}).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if hasattr(F, "scaled_dot_product_attention"):
            a = F.scaled_dot_product_attention(q, k, v)
        else:
            a = ((q * ${C / HEADS} ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        y = x + self.proj(a.transpose(1, 2).reshape(${B}, ${L}, ${C}))
        return y + self.fc2(F.gelu(self.fc1(self.norm2(y))))

def prepare(device):
    model = nn.Sequential(*[Block() for _ in range(${LAYERS})]).to(device)
    x = torch.randn(${B}, ${L}, ${C}, device=device)
    def run():
        model(x).mean().backward()
        model.zero_grad(set_to_none=True)
    return run
`;

/** Multiplications and additions of forward and backward; the backward pass is two forward ones. */
const GFLOP = (3 * LAYERS * B * L * (2 * 12 * C * C + 4 * L * C)) / 1e9;

/** Least share of Python's speed. */
const LEAST_RATIO = 0.95;

export const vitB: Bench = {
  name: 'vit-b',
  describe: 'forward and backward of a ViT-B encoder, 256 tokens, batch 4',
  run: async (options) => {
    const { device, rounds, python } = options;
    using model = nn.initialise(
      new nn.Sequential(...Array.from({ length: LAYERS }, () => new Block())),
      Generator.seeded(1),
    );
    model.to(device);
    using x = normals([B, L, C], 'vit-b', device);
    const ours = (): number =>
      timed(() => {
        tidy(() => model.forward(x).mean().backward());
        model.zeroGrad();
      }, device);
    const peer = python === null ? null : await startPythonPeer(python, PYTHON, options);
    try {
      const times = await alternate({ ours, python: () => peer?.run() ?? 0 }, rounds);
      const value = median(times.ours) / 1000;
      const limit = {
        what: `${GFLOP.toFixed(0)} GFLOP at the rate of products`,
        value: GFLOP / matmulRate(options),
      };
      const result: BenchResult = { what: 'forward and backward', value, unit: 's', limit };
      if (peer === null) return [result];
      const theirs = median(times.python) / 1000;
      return [
        { ...result, peer: { what: `Python, PyTorch ${peer.version}`, value: theirs } },
        {
          what: "Python's time over ours",
          value: theirs / value,
          unit: 'times',
          aim: { comparison: 'at least', value: LEAST_RATIO },
        },
      ];
    } finally {
      peer?.stop();
    }
  },
};
