"""Repeated lines are the same found by numpy and by hand."""

import random
from itertools import pairwise

import pytest

from samosa.data.filter import lines

PIECES = [
    "",
    " ",
    "a",
    "a ",
    "\ta",
    "ab",
    "é",
    "é\r",
    "x" * 20,
    "x" * 19 + "y",
    "z" * 24,
    "ä" * 12 + " ",
    " " * 80 + "a",
    "a" + " " * 80,
]


def by_hand(text: str, times: int, trim: bool, apart: int = lines.APART) -> list[tuple[int, int, int]]:
    """Every line with its place, walked one by one."""
    found, run, at, blank = [], [], 0, False
    for line in [*text.split("\n"), None]:
        bare = line.strip(lines.BLANKS) if trim and line is not None else line
        if bare == "":
            blank = True
        else:
            parted = blank and not (trim and run and len(run[-1][0].encode()) >= apart)
            if not (run and bare == run[-1][0]) or parted:
                if len(run) >= times:
                    found.append((run[0][1], run[0][1] + len(run[0][0]), run[-1][1] + len(run[-1][0])))
                run = []
            blank = False
            if line is not None:
                run.append((bare, at + (len(line) - len(line.lstrip(lines.BLANKS)) if trim else 0)))
        at += len(line or "") + 1
    return found


@pytest.mark.parametrize("many", [0, 10_000], ids=["numpy", "loop"])
@pytest.mark.parametrize("trim", [False, True])
def test_runs_of_lines_are_those_found_by_hand(monkeypatch, soak_seed, many, trim):
    monkeypatch.setattr(lines, "_MANY", many)
    monkeypatch.setattr(lines, "LONG", many)
    monkeypatch.setattr(lines, "_SHORT", 10_000)
    draw = random.Random(soak_seed)
    for _ in range(100):
        text = "\n".join(draw.choice(PIECES[: draw.randint(1, len(PIECES))]) for _ in range(draw.randint(0, 14)))
        for times in (2, 3):
            assert list(lines.runs(text, times, trim=trim)) == by_hand(text, times, trim), repr(text)
        for times in (2, 3, 4):
            suspected = lines.may_repeat(times, trim=trim)(text.encode())
            assert bool(by_hand(text, times, trim)) <= suspected <= bool(by_hand(text, 2, trim, apart=0)), repr(text)


@pytest.mark.parametrize("trim", [False, True])
def test_every_text_with_a_run_of_lines_is_suspected_among_others(soak_seed, trim):
    draw = random.Random(soak_seed)
    for _ in range(200):
        texts = [
            "\n".join(draw.choice(PIECES[: draw.randint(1, len(PIECES))]) for _ in range(draw.randint(0, 9)))
            for _ in range(draw.randint(0, 7))
        ]
        data = "".join(text + "\n" for text in texts).encode()
        for times in (2, 3, 4):
            ends = lines.may_repeat_in(times, trim=trim)(data)
            begin = 0
            for text in texts:
                end = begin + len(text.encode())
                inside = [one for one in ends if begin < one <= end + 1]
                assert bool(by_hand(text, times, trim)) <= bool(inside), repr(texts)
                begin = end + 1
            alike = (
                a == b for a, b in pairwise(line.strip() for line in data.split(b"\n") if line.strip() or not trim)
            )
            assert len(ends) <= sum(alike)
