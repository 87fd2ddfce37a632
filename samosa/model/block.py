"""One layer of the model: attention, then an MLP, each added to the residual stream.

A layer is two pieces of fixed shape around its attention: `before` and `after`. torch.compile takes these; what lies
between depends on where a batch's documents are and stays as it is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samosa.model import fp8
from samosa.model.attention import attend
from samosa.model.config import GATE_CHANNELS, ModelConfig
from samosa.model.decode import CacheStep
from samosa.model.layout import Layout
from samosa.model.pointwise import relu_squared, rms_norm

QK_SCALE = 1.2  # after QK norm, on q and on k
VALUE_GATE = 3.0  # value-embedding gates lie in 0 .. 3


class Linear(nn.Linear):
    """A bias-free linear map whose fp32 weight is cast to the dtype of what goes in; in training perhaps to FP8."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.fp8 = False

    def reset_parameters(self) -> None:
        """Leave the memory as it is: init_weights or a checkpoint fills it."""

    def forward(self, x: Tensor) -> Tensor:
        if self.fp8 and torch.is_grad_enabled():  # validation and sampling see the model that is saved
            return fp8.linear(x, self.weight)
        return F.linear(x, self.weight.to(x.dtype))


class Embedding(nn.Embedding):
    """A table whose memory init_weights or a checkpoint fills."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Context:
    """What every layer needs of a batch. Made once a forward pass; cos and sin are [B or 1, T, 1, D / 2]."""

    def __init__(self, ids: Tensor, cos: Tensor, sin: Tensor, layout: Layout | None, step: CacheStep | None) -> None:
        self.ids = ids
        self.cos, self.sin = cos, sin
        self.layout = layout
        self.step = step


class Attention(nn.Module):
    """Queries, keys and values in; what they attend to, and the way back to the model's width, out."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        width = config.n_embd
        self.layer = layer
        self.window = config.layer_windows[layer]
        self.qk_scale = QK_SCALE * config.attention_scale
        self.head_dim = config.head_dim
        self.c_q = Linear(width, width)
        self.c_k = Linear(width, config.kv_dim)
        self.c_v = Linear(width, config.kv_dim)
        self.c_proj = Linear(width, width)
        self.ve_gate = Linear(GATE_CHANNELS, config.n_kv_head) if layer in config.value_layers else None

    def heads(self, x: Tensor, value: Tensor | None, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, C] (normed), value [B, T, KV] or None -> q [B, T, H, D], k and v [B, T, Hkv, D]."""
        shape = (*x.shape[:2], -1, self.head_dim)
        q, k, v = self.c_q(x).view(shape), self.c_k(x).view(shape), self.c_v(x).view(shape)
        if self.ve_gate is not None and value is not None:
            gate = VALUE_GATE * torch.sigmoid(self.ve_gate(x[..., :GATE_CHANNELS]))
            v = torch.addcmul(v, gate.unsqueeze(-1), value.view(shape))
        q, k = rms_norm(_rotated(q, cos, sin), self.qk_scale), rms_norm(_rotated(k, cos, sin), self.qk_scale)
        return q, k, v

    def look(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Attend as the batch's documents, or the cache, ask for."""
        if context.step is not None:
            return context.step.attend(q, k, v, self.layer, self.window)
        assert context.layout is not None
        return attend(q, k, v, self.window, context.layout)


class MLP(nn.Module):
    """Four times as wide inside."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(relu_squared(self.c_fc(x)))


class Block(nn.Module):
    """A layer: x [B, T, C], value [B, T, KV] or None -> [B, T, C]."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attn = Attention(config, layer)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, value: Tensor | None, context: Context) -> Tensor:
        q, k, v = self.before(x, value, context.cos, context.sin)
        return self.after(x, self.attn.look(q, k, v, context))

    def before(self, x: Tensor, value: Tensor | None, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Everything up to the attention."""
        return self.attn.heads(rms_norm(x), value, cos, sin)

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        """Everything from the attention [B, T, H, D] on."""
        x = x + self.attn.c_proj(attended.reshape(x.shape))
        return x + self.mlp(rms_norm(x))

    def compile_pieces(self) -> None:
        """Let torch.compile take `before` and `after`; layers of one kind share what it makes."""
        self.before = torch.compile(self.before, dynamic=False)  # type: ignore[method-assign]
        self.after = torch.compile(self.after, dynamic=False)  # type: ignore[method-assign]


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on halves, by -theta (arXiv:2104.09864, eq. 34, turning the other way): x [B, T, H, D]."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos + right * sin, right * cos - left * sin], dim=-1)
