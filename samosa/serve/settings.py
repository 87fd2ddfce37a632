"""The knobs of the chat. Their values live in configs/chat.toml."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from samosa.config import Recipe


class Chat(Recipe):
    """How a model is asked in conversation."""

    temperature: NonNegativeFloat
    """0 is greedy."""
    top_k: NonNegativeInt
    """Sample among this many tokens; 0 is all of them. Without effect at temperature 0."""
    max_tokens: PositiveInt
    """Tokens a turn may take, tool results included; never more than the model's length leaves."""
    call_budget: PositiveInt
    """Tokens one tool call may take."""
    max_calls: PositiveInt
    """Tool calls a turn may make; further ones are answered with an error."""
    device: Literal["auto", "cpu", "cuda"]
    """Where the model runs; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """What the model computes in; auto decides by the machine and says so."""


class Serving(Recipe):
    """What `samosa chat` reads from chat.toml."""

    chat: Chat
    """How a model is asked in conversation."""
