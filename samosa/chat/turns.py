"""What a conversation is made of: turns, and the parts of a turn."""

from dataclasses import dataclass
from typing import Any, Literal

from samosa.chat.markup import THINK_BLOCK, THINK_CLOSE, THINK_OPEN
from samosa.errors import BadInput

PartKind = Literal["text", "think", "tool_call", "tool_result"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Part:
    """A piece of an assistant turn (or the words of another turn).

    `text` is the words of a text part, what stands between the tags of a think part (with its own white space), and
    for calls and results the payload exactly as it stands between their markers: JSON or a bare expression.
    `glued` means it is tokenized together with the part before it, because both came from one raw string.
    """

    kind: PartKind
    text: str
    glued: bool = False


@dataclass(frozen=True)
class Turn:
    """What one side says; only an assistant's turn has parts other than text."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words a reader sees: without thinking, calls and results."""
        return "".join(part.text for part in self.parts if part.kind == "text")


@dataclass(frozen=True)
class Conversation:
    """Turns in order: perhaps one system turn, then user and assistant in alternation, beginning with the user.

    Raises BadInput where that does not hold, so whoever has a Conversation has one that can be rendered.
    """

    turns: tuple[Turn, ...]
    source: str

    def __post_init__(self) -> None:
        check_order([turn.role for turn in self.turns], self.source)
        for turn in self.turns:
            if turn.role != "assistant" and any(part.kind != "text" for part in turn.parts):
                raise BadInput(
                    f"{self.source}: a {turn.role} turn has a part that is not text",
                    hint="only the assistant thinks and calls tools",
                )


def raw_text(part: Part) -> str:
    """A part as the model sees it, think tags included; calls and results without their markers."""
    return THINK_OPEN + part.text + THINK_CLOSE if part.kind == "think" else part.text


def prose(text: str) -> list[Part]:
    """Split a raw assistant string into text and think parts, glued to each other.

    Only pairs of tags with no tag inside are think parts. Stray, nested and unclosed tags stay in the text, where the
    grammar sees them.
    """
    if THINK_CLOSE not in text:
        return [Part("text", text)] if text else []
    parts: list[Part] = []
    end = 0
    for block in THINK_BLOCK.finditer(text):
        if block.start() > end:
            parts.append(Part("text", text[end : block.start()], glued=bool(parts)))
        parts.append(Part("think", block[1], glued=bool(parts)))
        end = block.end()
    if end < len(text):
        parts.append(Part("text", text[end:], glued=bool(parts)))
    return parts


def check_order(roles: list[Any], where: str) -> None:
    """Raise BadInput unless the roles are: perhaps system, then user, assistant, user, ..."""
    has_system = bool(roles) and roles[0] == "system"
    said = roles[1:] if has_system else roles
    if not said:
        raise BadInput(f"{where}: an empty conversation", hint="it needs at least one user message")
    for number, role in enumerate(said):
        due = "assistant" if number % 2 else "user"
        if role != due:
            place = number + 1 + has_system
            raise BadInput(
                f"{where}: message {place} has role {repr(role)[:40]} where {due} is due",
                hint="perhaps one system message, then user and assistant in turn, beginning with the user",
            )
