"""The model once more, from its equations, in float64, token by token where that is plainest, with dense masks."""

import math

import torch
from torch import Tensor


def logits_of(state: dict[str, Tensor], config, ids: Tensor, positions: Tensor) -> Tensor:
    """Logits [T, V] of one row: ids [T], positions [T] within documents."""
    state = {name: value.double() for name, value in state.items()}
    count, width, head = ids.numel(), config.n_embd, config.n_embd // config.n_head
    document = (positions == 0).cumsum(0)
    x = _rms(state["transformer.wte.weight"][ids])
    smeared = x.clone()
    for t in range(1, count):
        if document[t] == document[t - 1]:
            gate = torch.sigmoid(state["smear_gate.weight"] @ x[t, :24])
            smeared[t] = x[t] + state["smear_lambda"] * gate * x[t - 1]
    x = first = smeared
    kept = x
    for i, window in enumerate(config.layer_windows):
        x = state["resid_lambdas"][i] * x + state["x0_lambdas"][i] * first
        normed = _rms(x)
        p = f"transformer.h.{i}."
        q = (normed @ state[p + "attn.c_q.weight"].T).view(count, -1, head)
        k = (normed @ state[p + "attn.c_k.weight"].T).view(count, -1, head)
        v = (normed @ state[p + "attn.c_v.weight"].T).view(count, -1, head)
        if f"value_embeds.{i}.weight" in state:
            gate = 3 * torch.sigmoid(normed[:, :12] @ state[p + "attn.ve_gate.weight"].T)
            v = v + gate[:, :, None] * state[f"value_embeds.{i}.weight"][ids].view(v.shape)
        q, k = (_warmth(config) * _rms(_turn(y, positions, frequencies(config))) for y in (q, k))
        x = x + _attend(q, k, v, document, window).reshape(count, width) @ state[p + "attn.c_proj.weight"].T
        hidden = (_rms(x) @ state[p + "mlp.c_fc.weight"].T).clamp(min=0) ** 2
        x = x + hidden @ state[p + "mlp.c_proj.weight"].T
        if i == config.n_layer // 2:
            kept = x
    x = _rms(x - state["backout_lambda"] * kept)
    logits = x @ state["lm_head.weight"].T[:, : config.vocab_size]
    return 15 * torch.tanh(logits / 15)


def _rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + torch.finfo(torch.float64).eps).sqrt()


def frequencies(config) -> Tensor:
    """Radians a token in fp32, as nanochat has them; under YaRN (arXiv:2309.00071, definition 2) pair by pair."""
    width = config.n_embd // config.n_head
    plain = 1.0 / config.rope_base ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
    if config.yarn is None:
        return plain
    yarn, stretched = config.yarn, []
    for theta in plain.tolist():
        turns = yarn.old_len * theta / (2 * math.pi)
        gamma = min(max((turns - yarn.beta_slow) / (yarn.beta_fast - yarn.beta_slow), 0.0), 1.0)
        stretched.append((1 - gamma) * theta / yarn.factor + gamma * theta)
    return torch.tensor(stretched)


def _warmth(config) -> float:
    """What normed q and k are multiplied by: 1.2, and under YaRN the root of its inverse temperature (section 3.4)."""
    return 1.2 if config.yarn is None else 1.2 * (0.1 * math.log(config.yarn.factor) + 1)


def _turn(x: Tensor, positions: Tensor, frequency: Tensor) -> Tensor:
    """Each pair (x_j, x_{j + D/2}) as a complex number times exp(-i theta)."""
    half = x.size(-1) // 2
    theta = torch.outer(positions.float(), frequency)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.complex(
        theta.cos().double(), -theta.sin().double()
    ).unsqueeze(1)
    return torch.cat([turned.real, turned.imag], dim=-1)


def _attend(q: Tensor, k: Tensor, v: Tensor, document: Tensor, window: int) -> Tensor:
    repeat = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
    place = torch.arange(q.size(0))
    ago = place[:, None] - place[None, :]
    seen = (ago >= 0) & (ago <= window) & (document[:, None] == document[None, :])
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.size(-1) ** 0.5
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(~seen, float("-inf")).softmax(-1), v)
