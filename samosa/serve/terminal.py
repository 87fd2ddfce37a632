"""`samosa chat`: talk with a checkpoint in the terminal.

What the model says goes to stdout as it comes; its thinking, its calls and their results, and everything about the
chat itself go to stderr. So `samosa chat --tag T --once "..." > answer.txt` keeps the answer and nothing else.
"""

import os
import random
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from samosa import console, home
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM
from samosa.chat.search import TAVILY_KEY, default_search
from samosa.chat.tokenizer import Tokenizer, load_tokenizer
from samosa.chat.tools import Toolbox
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady
from samosa.serve.session import Reply, Session
from samosa.serve.settings import Chat, Serving
from samosa.serve.stream import Kind, Piece

COLOURS: dict[Kind, str] = {"think": "\x1b[2m", "call": "\x1b[36m", "result": "\x1b[32m"}  # dim, cyan, green
RESET = "\x1b[0m"
LABELS: dict[Kind, str] = {"think": "", "call": "-> ", "result": "<- "}
ENDINGS = {
    "length": "(cut: as many tokens as a turn may have)",
    "context": "(cut: the model reads no more than this)",
    "cancelled": "(stopped)",
}
# Escape sequences in what a model or a web page says must not reach the terminal.
UNSAFE = {code: "" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def run(
    options: Options,
    *,
    think: bool = False,
    temperature: float | None = None,
    seed: int | None = None,
    once: str | None = None,
) -> int:
    """Chat until /quit or the end of the input, or answer `once` and stop; returns 0.

    think: ask with the system prompt that wants thinking; temperature: instead of the recipe's; seed: of the samples,
    a fresh one without. Raises BadInput for an unknown tag and NotReady for a broken checkpoint.
    """
    if options.tag is None:
        raise BadInput("which checkpoint do you want to talk with?", hint="samosa chat --tag TAG")
    if options.json and once is None:
        raise BadInput("--json needs one message to answer", hint='add --once "your message"')
    if once is not None and not once.strip():
        raise BadInput("the message is empty", hint='samosa chat --tag TAG --once "your message"')
    settings = load(Serving, "chat", recipe=options.recipe, sets=options.sets).chat
    if temperature is not None:
        settings = settings.model_copy(update={"temperature": temperature})
    if seed is None:
        seed = random.SystemRandom().randrange(2**31) if settings.temperature > 0 else 0
    ref = home.find_checkpoint(options.tag)
    session, facts = _open(ref, settings, THINK_SYSTEM if think else DEFAULT_SYSTEM, seed)
    seeded = f", seed {seed}" if settings.temperature > 0 else ""
    console.say(f"{ref.name} ({facts}, temperature {settings.temperature:g}{seeded})")
    if once is not None:
        return _answer_once(session, once, as_json=options.json)
    console.say("/new starts over, /quit ends, Ctrl-C stops an answer")
    return _talk(session)


def _open(ref: home.CheckpointRef, settings: Chat, system: str, seed: int) -> tuple[Session, str]:
    """A session with the checkpoint, and what it runs on."""
    from samosa.model.engine import Engine

    tokenizer = load_tokenizer(home.tokenizer_dir())
    model, facts = _model(ref, settings, tokenizer)
    search = default_search()
    if search.name == "offline":
        console.say(f"web search is offline: {TAVILY_KEY} is not set")
    length = model.config.sequence_len
    engine = Engine(model, tokenizer, toolbox=Toolbox(search), rows=1, max_length=length)
    return Session(engine, tokenizer, settings, system=system, length=length, seed=seed), facts


def _model(ref: home.CheckpointRef, settings: Chat, tokenizer: Tokenizer) -> tuple[Any, str]:
    import torch

    from samosa.model.checkpoint import load_model
    from samosa.model.config import check_vocab
    from samosa.model.precision import choose_dtype

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise NotReady("chat.device is cuda and torch finds no GPU here", hint='set chat.device = "auto"')
    device = ("cuda" if torch.cuda.is_available() else "cpu") if settings.device == "auto" else settings.device
    dtype, _ = choose_dtype(settings.dtype, device)
    model, _ = load_model(ref, device=device, compute_dtype=dtype)
    check_vocab(model.config, tokenizer.vocab_size, ref.name)
    return model.eval(), f"{device}, {str(dtype).removeprefix('torch.')}"


def _answer_once(session: Session, text: str, *, as_json: bool) -> int:
    screen = Screen(sys.stderr if as_json else sys.stdout, sys.stderr)
    reply = session.ask(text, screen.show)
    screen.end()
    _tell(reply)
    if as_json:
        parts = reply.turn.parts
        texts = {kind: [part.text for part in parts if part.kind == kind] for kind in ("tool_call", "tool_result")}
        thought = next((part.text.strip() for part in parts if part.kind == "think"), None)
        console.emit_json(
            {
                "answer": reply.turn.text.strip(),
                "think": thought,
                "calls": texts["tool_call"],
                "results": texts["tool_result"],
                "finish": reply.reason,
            }
        )
    return 0


def _talk(session: Session) -> int:
    for line in _lines():
        text = line.strip()
        if text == "/quit":
            break
        if text == "/new":
            session.forget()
            console.say("a new conversation")
        elif text.startswith("/"):
            console.say(f"{text.split()[0]} is no command here: /new starts over, /quit ends")
        elif text:
            _exchange(session, text)
    return 0


def _exchange(session: Session, text: str) -> None:
    screen = Screen(sys.stdout, sys.stderr)
    try:
        reply = session.ask(text, screen.show)
    except BadInput as error:  # this message is too long: the next one need not be
        console.error(error)
        return
    screen.end()
    _tell(reply)


def _tell(reply: Reply) -> None:
    if reply.dropped:
        console.say(f"(too long for the model: it no longer sees the first {2 * reply.dropped} messages)")
    if reply.reason in ENDINGS:
        console.say(ENDINGS[reply.reason])


def _lines() -> Iterator[str]:
    """What the person types, line by line; the end of the input and Ctrl-C end it."""
    interactive = sys.stdin.isatty()
    if interactive:
        import contextlib

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives input() its editing keys
    while True:
        try:
            yield input("> ") if interactive else _read_line()
        except (EOFError, KeyboardInterrupt):
            console.say()
            return


def _read_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


class Screen:
    """Shows the pieces of one turn: words on `out`, the rest on `aside`, in colour where that is a terminal."""

    def __init__(self, out: TextIO, aside: TextIO) -> None:
        self._out = out
        self._aside = aside
        self._coloured = aside.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._kind: Kind | None = None
        self._at_start = True  # of a stretch of one kind, where white space is left out

    def show(self, piece: Piece) -> None:
        """Write one piece."""
        if piece.kind != self._kind:
            self._close()
            self._kind = piece.kind
            self._at_start = True
        text = piece.text.translate(UNSAFE)
        if self._at_start:
            text = text.lstrip()
        if not text:
            return
        if piece.kind == "text":
            _write(self._out, text)
        else:
            text = LABELS[piece.kind] * self._at_start + text
            _write(self._aside, COLOURS[piece.kind] + text + RESET if self._coloured else text)
        self._at_start = False

    def end(self) -> None:
        """The turn is over."""
        self._close()
        self._kind = None

    def _close(self) -> None:
        if self._kind is not None and not self._at_start:
            _write(self._out if self._kind == "text" else self._aside, "\n")


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, errors="replace").decode(encoding))
    stream.flush()
