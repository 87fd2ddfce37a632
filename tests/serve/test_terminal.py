import io
import json
import shutil
from pathlib import Path

import pytest

from samosa.chat.conversation import call_payload
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM
from samosa.chat.tokenizer import load_tokenizer
from samosa.chat.tools import Toolbox
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.model.engine import Engine
from samosa.serve import terminal
from samosa.serve.session import Session
from samosa.serve.settings import Serving
from samosa.serve.stream import Piece
from samosa.serve.terminal import Screen
from tests.model.scripted import Scripted

TOKENIZER = load_tokenizer(Path(__file__).parents[1] / "golden" / "tokenizer")
SETTINGS = load(Serving, "chat").chat


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Parrot(Scripted):
    """Says the same after every prompt, and keeps the prompts."""

    def __init__(self, script):
        super().__init__(TOKENIZER)
        self.scripts = {TOKENIZER.special("assistant_start"): script}
        self.prompts = []

    def __call__(self, ids, *, cache, lengths, rows=None):
        if rows is not None and int(cache.lengths[rows[0]]) == 0:
            self.prompts.append(TOKENIZER.decode(ids[0].tolist()))
        return super().__call__(ids, cache=cache, lengths=lengths, rows=rows)

    def eval(self):
        return self


def turn(*pieces):
    ids = []
    for piece in pieces:
        special = TOKENIZER.specials.get(f"<|{piece[1:-1]}|>") if piece[:1] == "<" else None
        ids += TOKENIZER.encode(piece) if special is None else [special]
    return ids


def session(script, *, length=1000, **changes):
    parrot = Parrot(script)
    engine = Engine(parrot, TOKENIZER, toolbox=Toolbox(None), rows=1, max_length=length)
    settings = SETTINGS.model_copy(update={"max_tokens": 60, **changes})
    return Session(engine, TOKENIZER, settings, system="Be kind.", length=length, seed=0), parrot


@pytest.fixture
def chat_home(golden, samosa_home, monkeypatch):
    """A home with nanochat's small chat model, for `chat/d2@37`."""
    for folder in ("chatsft_checkpoints", "tokenizer"):
        shutil.copytree(golden / folder, samosa_home / folder)
    return samosa_home


@pytest.fixture
def parrot(chat_home, monkeypatch):
    call = call_payload("calculator", {"expression": "6*7"})
    result = Toolbox(None).run(call).payload
    called = ["<python_start>", call, "<python_end>", "<output_start>", result, "<output_end>"]
    bird = Parrot(turn("<think>hm</think>", *called, "It is\x1b[31m 42 é."))
    monkeypatch.setattr(terminal, "_model", lambda *arguments: (bird, "a parrot"))
    return bird


def type_in(monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(line + "\n" for line in lines)))


def test_once_prints_the_answer_on_stdout_and_the_rest_on_stderr(parrot, capsys):
    assert terminal.run(Options(tag="chat/d2@37"), once="What is 6 times 7?") == 0
    out, err = capsys.readouterr()
    assert out == "It is[31m 42 é.\n"  # an escape sequence is made harmless
    assert "hm\n-> {" in err and '\n<- {"error":null' in err and "\x1b" not in err
    assert "web search is offline" in err


def test_once_answers_in_json(parrot, capsys):
    assert terminal.run(Options(tag="chat/d2@37", json=True), once="6*7?") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["think"] == "hm" and record["finish"] == "end" and record["answer"].endswith("42 é.")
    assert json.loads(record["results"][0])["output"]["value"] == 42 and len(record["calls"]) == 1


@pytest.mark.parametrize(("think", "system"), [(False, DEFAULT_SYSTEM), (True, THINK_SYSTEM)])
def test_the_system_prompt_opens_the_first_message(parrot, think, system):
    terminal.run(Options(tag="chat/d2@37"), think=think, once="hi")
    assert parrot.prompts == [f"<|bos|><|user_start|>{system}\n\nhi<|user_end|><|assistant_start|>"]


def test_a_conversation_goes_on_until_quit(parrot, monkeypatch, capsys):
    type_in(monkeypatch, "one", "", "/what", "two", "/new", "three", "/quit", "four")
    assert terminal.run(Options(tag="chat/d2@37")) == 0
    first, second, third = parrot.prompts
    assert first.endswith("one<|user_end|><|assistant_start|>")
    assert second.startswith(first) and second.endswith("<|user_start|>two<|user_end|><|assistant_start|>")
    assert "one" not in third and third.startswith(f"<|bos|><|user_start|>{DEFAULT_SYSTEM}\n\nthree")
    out, err = capsys.readouterr()
    assert out.count("It is[31m 42 é.\n") == 3 and "/what is no command" in err


def test_the_end_of_the_input_ends_the_chat(parrot, monkeypatch):
    type_in(monkeypatch, "one")
    assert terminal.run(Options(tag="chat/d2@37")) == 0
    assert len(parrot.prompts) == 1


def test_a_real_checkpoint_talks(chat_home, capsys):
    sets = ("chat.max_tokens=8",)
    assert terminal.run(Options(tag="chat/d2@37", sets=sets), once="hello") == 0
    greedy = capsys.readouterr()
    assert "cut" in greedy.err or greedy.out
    outs = []
    for seed in (3, 3, 4):
        terminal.run(Options(tag="chat/d2@37", sets=sets), once="hello", temperature=1.5, seed=seed)
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1] != outs[2]


@pytest.mark.parametrize(
    ("options", "once"),
    [(Options(), "hi"), (Options(tag="none"), "hi"), (Options(tag="x", json=True), None), (Options(tag="x"), " ")],
)
def test_what_cannot_be_asked_is_bad_input(chat_home, options, once):
    with pytest.raises(BadInput):
        terminal.run(options, once=once)


# --- the session


def test_the_model_reads_exactly_what_it_said_before():
    chat, parrot = session(turn("<think>hm</think>", "Hello!"))
    chat.ask("one", lambda piece: None)
    chat.ask("two", lambda piece: None)
    assert parrot.prompts[1] == (
        "<|bos|><|user_start|>Be kind.\n\none<|user_end|><|assistant_start|><think>hm</think>Hello!<|assistant_end|>"
        "<|user_start|>two<|user_end|><|assistant_start|>"
    )


def test_a_conversation_that_outgrows_the_model_loses_its_oldest_exchanges_and_keeps_the_system_text():
    chat, parrot = session(turn("Hello! " * 6), length=150)
    dropped = [chat.ask(f"message number {i}", lambda piece: None).dropped for i in range(5)]
    assert dropped[0] == 0 and sum(dropped) > 0
    for prompt in parrot.prompts:
        assert prompt.startswith("<|bos|><|user_start|>Be kind.\n\n") and prompt.count("<|bos|>") == 1
        assert len(TOKENIZER.encode(prompt)) < 400
    assert "number 0" not in parrot.prompts[-1] and parrot.prompts[-1].endswith(
        "message number 4<|user_end|><|assistant_start|>"
    )
    assert len(chat.turns) == 2 * (5 - sum(dropped))


def test_a_message_too_long_for_the_model_is_refused_and_changes_nothing(capsys):
    chat, _ = session(turn("Hello!"), length=150)
    chat.ask("one", lambda piece: None)
    with pytest.raises(BadInput, match="the model reads 150"):
        chat.ask("long " * 200, lambda piece: None)
    assert len(chat.turns) == 2
    terminal._exchange(chat, "long " * 200)
    assert "fewer words" in capsys.readouterr().err


def test_a_turn_may_not_take_more_than_its_tokens(capsys):
    chat, _ = session([97] * 500, max_tokens=20)
    reply = chat.ask("one", lambda piece: None)
    assert reply.reason == "length" and reply.turn.text == "a" * 20
    terminal._exchange(chat, "two")
    assert "cut" in capsys.readouterr().err


def test_ctrl_c_ends_the_answer_and_keeps_what_was_said():
    chat, _ = session([97] * 500)
    seen = []

    def show(piece):
        seen.append(piece.text)
        if len(seen) == 5:
            raise KeyboardInterrupt

    reply = chat.ask("one", show)
    assert reply.reason == "cancelled" and reply.turn.text == "aaaaa"
    assert chat.ask("two", lambda piece: None).reason == "length"


# --- the screen


PIECES = [
    Piece("think", "\n h"),
    Piece("think", "m\n"),
    Piece("call", "6*7"),
    Piece("result", "42"),
    Piece("text", "\n\nIt is "),
    Piece("text", "42."),
]


def test_colours_are_for_terminals():
    out, aside = Terminal(), Terminal()
    screen = Screen(out, aside)
    for piece in PIECES:
        screen.show(piece)
    screen.end()
    assert out.getvalue() == "It is 42.\n"
    assert aside.getvalue() == ("\x1b[2mh\x1b[0m\x1b[2mm\n\x1b[0m\n\x1b[36m-> 6*7\x1b[0m\n\x1b[32m<- 42\x1b[0m\n")


def test_elsewhere_and_with_no_color_the_text_is_plain(monkeypatch):
    for aside in (io.StringIO(), Terminal()):
        monkeypatch.setenv("NO_COLOR", "1")
        screen = Screen(io.StringIO(), aside)
        for piece in PIECES:
            screen.show(piece)
        screen.end()
        assert aside.getvalue() == "hm\n\n-> 6*7\n<- 42\n"


def test_a_terminal_that_is_not_utf8_gets_a_question_mark():
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii"), io.StringIO())
    screen.show(Piece("text", "é!"))
    screen.end()
    assert raw.getvalue() == b"?!\n"
