"""Conversations to token ids and loss masks, as nanochat lays them out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from samosa.chat.conversation import Conversation, Part, Turn, raw_text
from samosa.chat.markup import (
    ASSISTANT_END,
    ASSISTANT_START,
    BOS,
    OUTPUT_END,
    OUTPUT_START,
    PYTHON_END,
    PYTHON_START,
    USER_END,
    USER_START,
)
from samosa.chat.prompts import with_system
from samosa.chat.tokenizer import Tokenizer

CONVERSATIONS_AT_ONCE = 512  # a batch for the tokenizer's threads: ~0.5 MB of text
BYTES_PER_TOKEN = 4  # of English text by nanochat's 32,768 tokens, about; smaller vocabularies need more tokens


@dataclass(frozen=True)
class Rendered:
    """`ids` and `mask` have the same length; mask 1 = supervised, 0 = only context."""

    ids: list[int]
    mask: list[int]


@dataclass(frozen=True)
class _Piece:
    """A special token by name, or text to encode by itself."""

    text: str
    special: bool
    supervised: bool


def render(conversation: Conversation, tokenizer: Tokenizer) -> Rendered:
    """All of a conversation, however long: nothing is cut here.

    Supervised are the assistant's words, thoughts, calls with their markers, and its end; results are not.
    """
    return next(render_many([conversation], tokenizer))


def render_many(conversations: Iterable[Conversation], tokenizer: Tokenizer) -> Iterator[Rendered]:
    """`render` for each conversation, in order, encoding on all cores: some seconds for 18,000 of 250 tokens."""
    todo = iter(conversations)
    while batch := list(islice(todo, CONVERSATIONS_AT_ONCE)):
        plans = [_pieces(conversation) for conversation in batch]
        texts = list({piece.text: None for plan in plans for piece in plan if not piece.special})
        encode = tokenizer.encode_batch(texts) if len(batch) > 1 else map(tokenizer.encode, texts)
        ids_of = dict(zip(texts, encode, strict=True))
        for plan in plans:
            ids: list[int] = []
            mask: list[int] = []
            for piece in plan:
                tokens = [tokenizer.specials[piece.text]] if piece.special else ids_of[piece.text]
                ids += tokens
                mask += [int(piece.supervised)] * len(tokens)
            yield Rendered(ids, mask)


def count(conversation: Conversation, tokenizer: Tokenizer | None) -> tuple[int, int]:
    """How many tokens `render` would give, and how many of them supervised; without a tokenizer, about how many."""
    tokens = supervised = 0
    for piece in _pieces(conversation):
        if piece.special:
            size = 1
        elif tokenizer is None:
            size = -(-len(piece.text.encode()) // BYTES_PER_TOKEN)
        else:
            size = len(tokenizer.encode(piece.text))
        tokens += size
        supervised += size * piece.supervised
    return tokens, supervised


def render_prompt(conversation: Conversation, tokenizer: Tokenizer) -> list[int]:
    """The ids a model continues: up to the last user turn, then assistant_start; a last assistant turn is left out."""
    turns = conversation.turns
    if turns[-1].role == "assistant":
        turns = turns[:-1]
    asked = Conversation(turns, conversation.source)
    return [*render(asked, tokenizer).ids, tokenizer.special(ASSISTANT_START)]


def _pieces(conversation: Conversation) -> list[_Piece]:
    pieces = [_mark(BOS, False)]
    system: str | None = None
    for turn in conversation.turns:
        if turn.role == "system":
            system = turn.text
        elif turn.role == "user":
            text = turn.text if system is None else with_system(system, turn.text)
            system = None
            pieces += [_mark(USER_START, False), _Piece(text, False, False), _mark(USER_END, False)]
        else:
            pieces += [_mark(ASSISTANT_START, False), *_assistant(turn), _mark(ASSISTANT_END, True)]
    return pieces


def _assistant(turn: Turn) -> Iterator[_Piece]:
    for run in _runs(turn):
        match run[0].kind:
            case "tool_call":
                yield from _between(PYTHON_START, run[0].text, PYTHON_END, True)
            case "tool_result":
                yield from _between(OUTPUT_START, run[0].text, OUTPUT_END, False)
            case _:
                yield _Piece("".join(map(raw_text, run)), False, True)


def _runs(turn: Turn) -> list[list[Part]]:
    """Parts that are tokenized together; calls and results always stand alone."""
    runs: list[list[Part]] = []
    for part in turn.parts:
        prose = part.kind in ("text", "think")
        if prose and part.glued and runs and runs[-1][0].kind in ("text", "think"):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _between(start: str, payload: str, end: str, supervised: bool) -> list[_Piece]:
    return [_mark(start, supervised), _Piece(payload, False, supervised), _mark(end, supervised)]


def _mark(name: str, supervised: bool) -> _Piece:
    return _Piece(name, True, supervised)
