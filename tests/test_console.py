import json

import pytest

from samosa import console
from samosa.errors import BadInput


@pytest.fixture(autouse=True)
def fresh_progress(monkeypatch):
    monkeypatch.setattr(console._Live, "is_open", False)
    monkeypatch.setattr(console._Live, "printed_at", None)


def test_talk_goes_to_stderr_and_data_to_stdout(capsys):
    console.say("hello")
    console.warn("careful")
    console.data("a row")
    console.emit_json({"a": 1})
    out, err = capsys.readouterr()
    assert err == "hello\nwarning: careful\n"
    assert out == 'a row\n{"a": 1}\n'


def test_an_error_is_two_lines_without_secrets(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    console.error(BadInput("401 for sk-very-secret\nfrom the server", hint="look at the key sk-very-secret"))
    assert capsys.readouterr().err == (
        "error: 401 for ***OPENAI_API_KEY*** from the server\nhint: look at the key ***OPENAI_API_KEY***\n"
    )


def test_only_rank_0_speaks_but_every_rank_may_fail(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    console.say("hello")
    console.table(["a"], [[1]])
    console.live_line("step 1")
    console.emit_json({})
    assert capsys.readouterr() == ("", "")
    console.error(BadInput("x", hint="y"))
    assert capsys.readouterr().err == "error: x\nhint: y\n"


def test_a_table_is_aligned_and_takes_its_cells_as_they_are(capsys):
    console.table(["name", "n"], [["[bold]gen[/bold]", 3], [":smile:", 12]], title="plan")
    assert [line.rstrip() for line in capsys.readouterr().err.splitlines()] == [
        "plan",
        "name              n",
        "[bold]gen[/bold]  3",
        ":smile:           12",
    ]


def test_a_long_row_stays_one_line_in_a_log(capsys):
    console.table(["", ""], [["x" * 90, "y" * 90]])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_log_gets_a_progress_line_now_and_then(capsys, monkeypatch):
    clock = iter([100.0, 101.0, 109.9, 110.1, 110.1])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    for step in range(4):
        console.live_line(f"step {step}")
    assert capsys.readouterr().err == "step 0\nstep 3\n"


def test_a_terminal_rewrites_one_line_and_talk_starts_below_it(capsys, monkeypatch):
    monkeypatch.setattr(console, "_on_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "10")
    console.live_line("step 1")
    console.live_line("step 2 and more")
    console.say("done")
    assert capsys.readouterr().err == "\r\x1b[2Kstep 1\r\x1b[2Kstep 2 an\ndone\n"


def test_json_survives_a_stdout_that_is_not_utf8(monkeypatch):
    import io

    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.emit_json({"city": "São Paulo"})
    assert json.loads(raw.getvalue()) == {"city": "São Paulo"}


def test_a_live_table_is_drawn_on_a_terminal_and_its_line_alone_elsewhere(capsys, monkeypatch):
    monkeypatch.setattr(console._Live, "printed_at", None)
    with console.live_table(("rule", "rejects")) as draw:
        draw("1 of 9 chunks", [("short [b]", 7)])
        draw("2 of 9 chunks", [("short [b]", 8)])
    assert capsys.readouterr().err == "1 of 9 chunks\n"
    monkeypatch.setattr(console, "_on_terminal", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with console.live_table(("rule", "rejects")) as draw:
        draw("1 of 9 chunks", [("short [b]", 7)])
    shown = capsys.readouterr().err
    assert "1 of 9 chunks" in shown and "short [b]" in shown and "rejects" in shown
