// softmax(scale q k' + bias) v in every head, which reads queries, keys and values where a joint projection has left them and
// writes where the next layer reads: no rearranged copies, and the weights of a head stay in the cache of one core.
// Not here: gradients, autocast, other devices and element types (the answer is null, and the caller composes operators),
// the arithmetic on rows (rows.h), who does what (parallel.h).
// Shapes: B batch, L queries, S keys, h heads, d channels of a head, C = h d.
#include "fused.h"
#include "parallel.h"
#include "rows.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace maskrank {

namespace {

// Numbers that the weights of one task take, at most, unless a single query has more: 1 MB, which a core's cache holds.
constexpr int64_t kMostWeights = 1 << 18;

bool fits(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias, int64_t heads) {
  for (const auto& t : {q, k, v}) {
    if (t.dim() != 3 || t.numel() == 0 || t.stride(2) != 1 || t.size(0) != q.size(0) || t.size(2) != q.size(2)) return false;
  }
  if (k.size(1) != v.size(1) || heads < 1 || q.size(2) % heads != 0) return false;
  if (!bias.defined()) return true;
  const bool all = bias.dim() == 3 && bias.size(0) == q.size(0) * heads;
  return (all || bias.dim() == 2) && bias.size(-2) == q.size(1) && bias.size(-1) == k.size(1) && bias.is_contiguous();
}

// Rows of one head: [count, d] from row `begin` of x [B, L or S, C].
at::Tensor ofHead(const at::Tensor& x, int64_t image, int64_t head, int64_t d, int64_t begin, int64_t count) {
  const int64_t offset = x.storage_offset() + image * x.stride(0) + begin * x.stride(1) + head * d;
  return at::as_strided(x, {count, d}, {x.stride(1), 1}, offset);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias, int64_t heads) {
  const int64_t queries = q.size(1), keys = k.size(1), d = q.size(2) / heads;
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  const at::Tensor result = at::empty(q.sizes(), q.options());
  const int64_t stride = (keys + kRowMultiple - 1) / kRowMultiple * kRowMultiple;
  const int64_t block = std::clamp<int64_t>(kMostWeights / stride, 1, queries);
  const int64_t blocks = (queries + block - 1) / block;
  const int64_t tasks = q.size(0) * heads * blocks;
  const at::Tensor buffers = at::empty({parallelWorkers(tasks), block, stride}, q.options());
  parallelTasks(tasks, [&](int64_t task, int64_t worker) {
    const int64_t begin = task % blocks * block;
    const int64_t count = std::min(block, queries - begin);
    const int64_t head = task / blocks % heads;
    const int64_t image = task / blocks / heads;
    at::Tensor weights = at::as_strided(buffers, {count, keys}, {stride, 1}, worker * block * stride);
    at::mm_out(weights, ofHead(q, image, head, d, begin, count), ofHead(k, image, head, d, 0, keys).t());
    const int64_t plane = bias.defined() && bias.dim() == 3 ? image * heads + head : 0;
    const float* added = bias.defined() ? bias.data_ptr<float>() + (plane * queries + begin) * keys : nullptr;
    softmaxRows(weights.data_ptr<float>(), count, keys, stride, scale, added);
    at::Tensor out = ofHead(result, image, head, d, begin, count);
    at::mm_out(out, weights, ofHead(v, image, head, d, 0, keys));
  });
  return result;
}

// fusedAttention(q [B, L, C], k [B, S, C], v [B, S, C], heads, bias [L, S] or [B h, L, S] or null): [B, L, C] with
// scale 1 / sqrt(d), or null where operators have to be composed.
Napi::Value FusedAttention(const Napi::CallbackInfo& info) {
  const at::Tensor q = tensorArgument(info, 0);
  const at::Tensor k = tensorArgument(info, 1);
  const at::Tensor v = tensorArgument(info, 2);
  const int64_t heads = info[3].As<Napi::Number>().Int64Value();
  const at::Tensor bias = optionalTensor(info, 4);
  if (!arePlain(q, k, v, bias) || !fits(q, k, v, bias, heads)) return info.Env().Null();
  const at::NoGradGuard unrecorded;
  return handleOf(info, attention(q, k, v, bias, heads));
}

}  // namespace

void registerFusedAttention(Napi::Object exports) { define<FusedAttention>(exports, "fusedAttention"); }

}  // namespace maskrank
