"""The system prompts samosaChaat is served with.

They are part of the model's interface: what it is trained on must carry them letter by letter.
"""

_OPENING = (
    "You are samosaChaat, a helpful AI assistant created by Manmohan Sharma. "
    "You have access to tools: use web_search for facts that may change over time or require current information, "
    "and use calculator for arithmetic. "
)

DEFAULT_SYSTEM = _OPENING + "Otherwise answer directly and concisely."

THINK_SYSTEM = (
    _OPENING + "Think step by step inside <think>...</think> tags, then give your final answer after the closing tag."
)

SYSTEM_JOINER = "\n\n"
"""Stands between a system prompt and the first user message, which share one user turn: there is no system token."""


def with_system(system: str, user: str) -> str:
    """The text of a first user turn that carries a system prompt."""
    return system + SYSTEM_JOINER + user


def without_system(text: str) -> str:
    """The user's own words of a first user turn, whichever of the system prompts it carries."""
    for system in (DEFAULT_SYSTEM, THINK_SYSTEM):
        text = text.removeprefix(with_system(system, ""))
    return text
