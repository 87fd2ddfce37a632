"""Small models with weights that make every part of the network matter."""

import torch

from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT


def tiny_config(**changes) -> ModelConfig:
    fields = {
        "sequence_len": 256,
        "vocab_size": 61,
        "n_layer": 3,
        "n_head": 2,
        "n_kv_head": 1,
        "n_embd": 24,
        "windows": (16, 5, 300),
    }
    return ModelConfig(**{**fields, **changes})


def tiny_model(config: ModelConfig | None = None, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> GPT:
    """Random weights everywhere: after the usual initialisation half of the network adds nothing."""
    model = GPT(config or tiny_config())
    generator = torch.Generator().manual_seed(seed)
    model.init_weights(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.to(dtype)


def packed_positions(lengths: list[list[int]]) -> torch.Tensor:
    """Positions [B, T] of rows that hold documents of these lengths."""
    return torch.stack([torch.cat([torch.arange(n) for n in row]) for row in lengths])
