"""nanochat's GPT: value embeddings, smear, backout, residual lambdas, RoPE, QK norm, sliding windows, relu squared.

Masters are fp32 (or fp64 after .double()); weights are cast to the compute dtype where they are used. Logits and
losses match nanochat's to 1e-5 in fp32. Documents packed into one row do not see each other, smear included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from samosa.errors import NotReady
from samosa.model import fp8
from samosa.model.attention import choose_backend, documents
from samosa.model.block import QK_SCALE, Block, Context, Embedding, Linear
from samosa.model.cache import KVCache
from samosa.model.config import SMEAR_CHANNELS, ModelConfig
from samosa.model.decode import CacheStep
from samosa.model.head import nll_none, nll_sum, softcap
from samosa.model.layout import Layout
from samosa.model.pointwise import rms_norm
from samosa.model.rope import rope_table

ROPE_LENGTHS = 10  # the rotation table starts at this many sequence lengths; it grows when a row is longer


class GPT(nn.Module):
    """The model. Parameters are named, ordered and shaped as nanochat saves them.

    backend: "auto", "sdpa" or "varlen" (attention.choose_backend); compute_dtype: what activations are cast to.
    The weights are uninitialised until init_weights or load_state_dict.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        backend: str = "auto",
        compute_dtype: torch.dtype = torch.float32,
        allow_fallback: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = compute_dtype
        self.backend = backend
        self.value_layers = frozenset(config.value_layers)
        self.allow_fallback = allow_fallback
        self.recompute = False
        rows, width = config.padded_vocab, config.n_embd
        self.resid_lambdas = nn.Parameter(torch.ones(config.n_layer))
        self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer))
        self.smear_lambda = nn.Parameter(torch.zeros(1))
        self.backout_lambda = nn.Parameter(torch.full((1,), 0.2))
        blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.transformer = nn.ModuleDict({"wte": Embedding(rows, width), "h": blocks})
        self.lm_head = Linear(width, rows)
        self.smear_gate = Linear(SMEAR_CHANNELS, 1)
        self.value_embeds = nn.ModuleDict({str(i): Embedding(rows, config.kv_dim) for i in config.value_layers})
        self._tables: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}
        self._chosen: dict[torch.device, str] = {}

    @property
    def blocks(self) -> Sequence[Block]:
        return cast(Sequence[Block], self.transformer["h"])

    @property
    def device(self) -> torch.device:
        return self.resid_lambdas.device

    @property
    def dtype(self) -> torch.dtype:
        """What activations are computed in: the compute dtype, or float64 when the masters are."""
        return torch.float64 if self.lm_head.weight.dtype == torch.float64 else self.compute_dtype

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """nanochat's initialisation: what writes into the residual starts at 0, the rest uniform or normal."""
        bound = (3 / self.config.n_embd) ** 0.5
        cast(nn.Embedding, self.transformer["wte"]).weight.normal_(0.0, 0.8, generator=generator)
        self.lm_head.weight.normal_(0.0, 0.001, generator=generator)
        for block in self.blocks:
            for weight in (block.attn.c_q.weight, block.attn.c_k.weight, block.attn.c_v.weight):
                weight.uniform_(-bound, bound, generator=generator)
            block.mlp.c_fc.weight.uniform_(-0.4 * bound, 0.4 * bound, generator=generator)
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
            if block.attn.ve_gate is not None:
                block.attn.ve_gate.weight.uniform_(0.0, 0.02, generator=generator)
        for table in self.value_embeds.values():
            cast(nn.Embedding, table).weight.uniform_(-bound, bound, generator=generator)
        depth = torch.linspace(0, 1, self.config.n_layer, dtype=torch.float64)
        self.resid_lambdas.copy_(1.15 - 0.10 * depth)
        self.x0_lambdas.copy_(0.20 - 0.15 * depth)
        self.smear_lambda.zero_()
        self.backout_lambda.fill_(0.2)
        self.smear_gate.weight.uniform_(0.0, 0.02, generator=generator)

    def set_windows(self, windows: Sequence[int]) -> None:
        """Change how far each layer sees: [n_layer] tokens before the query."""
        self.adopt(replace(self.config, windows=tuple(windows)))

    def adopt(self, config: ModelConfig) -> None:
        """Compute as `config` says with the weights that are here: other windows, rotary positions or length."""
        assert config.n_params() == self.config.n_params(), "these weights have another shape"
        self.config = config
        self._tables.clear()
        for block, window in zip(self.blocks, config.layer_windows, strict=True):
            block.attn.window = window
            block.attn.qk_scale = QK_SCALE * config.attention_scale

    def train_with(self, *, compiled: bool, recompute: bool, use_fp8: bool) -> None:
        """How training computes, before its first step: layers compiled; made again in the backward pass instead of
        keeping what they computed (Chen et al. 2016, arXiv:1604.06174); their matrices multiplied in FP8.

        Raises NotReady for FP8 on a device, or with a compute dtype, that has none.
        """
        missing = fp8.why_not(self.device, self.dtype) if use_fp8 else None
        if missing is not None:
            raise NotReady(f"FP8 is not available: {missing}", hint="--set train.fp8=false")
        self.recompute = recompute
        for block in self.blocks if use_fp8 else ():
            fp8.convert(block)
        for block in self.blocks if compiled else ():
            block.compile_pieces()

    def layout(self, positions: Tensor | None, batch: int, length: int) -> Layout:
        """The attention layout of a batch, for callers who have the positions on the CPU or reuse a layout."""
        device = self.device
        if device not in self._chosen:
            self._chosen[device] = choose_backend(
                self.backend, device, allow_fallback=self.allow_fallback, dtype=self.dtype
            )
        windows = self.config.layer_windows
        return documents(positions, batch, length, windows, backend=self._chosen[device], device=device)

    def forward(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        targets: Tensor | None = None,
        cache: KVCache | None = None,
        lengths: Tensor | None = None,
        rows: Tensor | None = None,
        last: Tensor | None = None,
        nll: str = "sum",
        layout: Layout | None = None,
    ) -> Tensor:
        """Token ids [B, T] to a loss or to logits.

        positions [B, T]: place within the document, 0 starts one; None is one document a row. layout: made
        before by `layout`. targets [B, T] (-1 = no loss): the scalar sum of nll over targets >= 0, or with
        nll="none" each of them [n] in reading order; in fp32, or fp64 for an fp64 model.
        Without targets: logits [B, T, V] in fp32 (fp64), or [B, V] of the places `last` [B].

        With a cache, ids [R, S] are new tokens of cache rows `rows` [R] (None: all, in order), padded on the right;
        lengths [R] counts the valid ones (None: S; 0 leaves a row as it is). Returns logits [R, V] of each row's
        last valid token; those of a row of length 0 mean nothing.
        """
        if cache is not None:
            return self._extend(ids, cache, lengths, rows)
        batch, length = ids.shape
        if layout is None:
            layout = self.layout(positions, batch, length)
        x = self._embed(ids)
        fresh = None if positions is None else positions[:, 1:].unsqueeze(-1).to(ids.device) == 0
        x = self._smear(x, fresh)
        cos, sin = self._rotation(length, positions)
        x = self._layers(x, Context(ids, cos, sin, layout, None))
        if targets is not None:
            assert nll in ("sum", "none"), nll
            loss = nll_sum if nll == "sum" else nll_none
            return loss(x, self.lm_head.weight, targets, self.config.vocab_size)
        if last is not None:
            x = x[torch.arange(batch, device=x.device), last]
        return self.logits(x)

    def _embed(self, ids: Tensor) -> Tensor:
        return rms_norm(self.transformer["wte"](ids).to(self.dtype))

    def _smear(self, x: Tensor, fresh: Tensor | None) -> Tensor:
        """Add a gated share of the token before, except where a document starts: x [B, T, C], fresh [B, T-1, 1]."""
        if x.size(1) == 1:
            return x
        before = x[:, :-1]
        if fresh is not None:  # the token itself, not its gate: 0 * nan would let another document in
            before = before.masked_fill(fresh, 0.0)
        return torch.cat([x[:, :1], torch.addcmul(x[:, 1:], self._smear_gate(x[:, 1:]), before)], dim=1)

    def _smear_gate(self, x: Tensor) -> Tensor:
        return self.smear_lambda.to(x.dtype) * torch.sigmoid(self.smear_gate(x[..., :SMEAR_CHANNELS]))

    def _layers(self, x: Tensor, context: Context) -> Tensor:
        first = backout = x
        resid, start = self.resid_lambdas.to(x.dtype), self.x0_lambdas.to(x.dtype)
        for i in range(self.config.n_layer):
            if self.recompute and torch.is_grad_enabled():
                parts = (i, x, first, resid[i], start[i], context)
                x = checkpoint(self._layer, *parts, use_reentrant=False, preserve_rng_state=False)
            else:
                x = self._layer(i, x, first, resid[i], start[i], context)
            if i == self.config.backout_layer:
                backout = x
        return rms_norm(x - self.backout_lambda.to(x.dtype) * backout)

    def _layer(self, i: int, x: Tensor, first: Tensor, resid: Tensor, start: Tensor, context: Context) -> Tensor:
        x = torch.addcmul(resid * x, start, first)
        value = self.value_embeds[str(i)](context.ids).to(x.dtype) if i in self.value_layers else None
        return self.blocks[i](x, value, context)

    def _rotation(self, length: int, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """cos and sin [B or 1, T, 1, D / 2] of positions [B, T], all of them below `length`."""
        key = (self.device, self.dtype)
        if key not in self._tables or self._tables[key][0].size(0) < length:
            size = max(length, ROPE_LENGTHS * self.config.sequence_len)
            with torch.inference_mode(False):  # sampling may fill the cache, and training must be able to use it
                self._tables[key] = rope_table(self.config, size, *key)
        cos, sin = self._tables[key]
        if positions is None:
            return cos[None, :length, None], sin[None, :length, None]
        positions = positions.to(cos.device)
        return cos[positions].unsqueeze(2), sin[positions].unsqueeze(2)

    def read(self, ids: Tensor, step: CacheStep) -> Tensor:
        """What the head sees of new tokens ids [R, S] that `step` adds to a cache: [R, S, C]; padding means nothing."""
        x = self._embed(ids)
        before = step.before(x).masked_fill((step.positions == 0).unsqueeze(-1), 0.0)
        step.remember(x)
        cos, sin = self._rotation(step.cache.length + 1, step.positions.clamp(max=step.cache.length))
        x = self._layers(torch.addcmul(x, self._smear_gate(x), before), Context(ids, cos, sin, None, step))
        step.finish()
        return x

    def logits(self, x: Tensor) -> Tensor:
        """The head: x [..., C] as `read` gives it -> [..., V] in fp32 (fp64)."""
        logits = self.lm_head(x)[..., : self.config.vocab_size]
        return softcap(logits if logits.dtype == torch.float64 else logits.float())

    def _extend(self, ids: Tensor, cache: KVCache, lengths: Tensor | None, rows: Tensor | None) -> Tensor:
        step = CacheStep(cache, ids, lengths, rows, self.config.layer_windows)
        x = self.read(ids, step)
        return self.logits(x[torch.arange(x.size(0), device=x.device), step.last])
