"""Rotary positions: the table of angles, with YaRN's stretched wavelengths where a context was extended."""

import math

import torch
from torch import Tensor

from samosa.model.config import ModelConfig, Yarn


def rope_table(config: ModelConfig, length: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin [length, head_dim / 2] of angles p * frequency, made in fp32, then cast to dtype."""
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device=device), frequencies(config, device))
    return angles.cos().to(dtype), angles.sin().to(dtype)


def frequencies(config: ModelConfig, device: torch.device | str = "cpu") -> Tensor:
    """Radians a token of every pair of channels, fp32 [head_dim / 2]: rope_base^(-2j / head_dim), or YaRN's."""
    channels = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=device)
    plain = 1.0 / config.rope_base ** (channels / config.head_dim)
    return plain if config.yarn is None else _stretched(plain, config.yarn)


def _stretched(plain: Tensor, yarn: Yarn) -> Tensor:
    """YaRN's "NTK-by-parts" (arXiv:2309.00071, definition 2).

    A pair that turns more than beta_fast times within the old length tells near tokens apart and stays; one that turns
    less than beta_slow times never came round, so it is slowed by the factor; between them it is interpolated.
    """
    turns = yarn.old_len * plain / (2 * math.pi)
    keep = ((turns - yarn.beta_slow) / (yarn.beta_fast - yarn.beta_slow)).clamp(0, 1)
    return plain * (keep + (1 - keep) / yarn.factor)
