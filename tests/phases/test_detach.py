"""Commands that outlive their terminal, and what is seen of them from another one."""

import json
import os
import threading
import time

import pytest

from samosa import console, home
from samosa.config import Options
from samosa.errors import BadInput, NotReady, SamosaError, Stopped
from samosa.phases import detach
from samosa.train.launch import LIVE_FILE

COMMAND = """
import os, sys, time
from samosa import console
from samosa.config import Options
from samosa.phases.detach import only_command
with only_command("long", Options(argv=tuple(sys.argv[1:]))) as running:
    console.say(f"leads its session: {os.getsid(0) == os.getpid()}, has a terminal or pipe: {bool(os.read(0, 1))}")
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    console.say("all is saved")
    running.code = 130
"""


def note(tag):
    return json.loads((home.run_dir(tag) / detach.NOTE_FILE).read_text())


def test_a_detached_command_keeps_its_tag_and_is_followed_to_its_end(samosa_home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detach, "COMMAND", COMMAND)
    gate = tmp_path / "gate"
    assert detach.detach("long", Options(argv=(str(gate), "--detach"))) == 0
    assert "next: samosa attach long   (kill -INT " in capsys.readouterr().err
    with pytest.raises(NotReady, match="another command works on long"):
        detach.detach("long", Options(argv=(str(gate),)))

    shown, live_line = threading.Event(), console.live_line

    def show(text):
        live_line(text)
        if text:
            shown.set()

    def open_gate():
        while "leads its session" not in (home.run_dir("long") / "train.log").read_text():
            time.sleep(0.01)
        home.write_atomic(home.run_dir("long") / LIVE_FILE, "step 4/12  loss 2.0")  # as the launcher does: never empty
        shown.wait(60)
        gate.touch()

    monkeypatch.setattr(console, "live_line", show)
    monkeypatch.setattr(console._Live, "printed_at", None)  # other tests have lines, too
    threading.Thread(target=open_gate, daemon=True).start()
    assert detach.attach("long") == 130
    seen = capsys.readouterr().err
    assert "leads its session: True, has a terminal or pipe: False" in seen
    assert "step 4/12  loss 2.0" in seen and "all is saved" in seen
    assert note("long")["command"] == ["samosa", str(gate)] and note("long")["code"] == 130


@pytest.mark.parametrize(
    ("error", "code"),
    [(Stopped("stopped", hint=""), 130), (NotReady("full", hint=""), 3), (KeyboardInterrupt(), 130), (KeyError(), 1)],
)
def test_what_a_command_ended_with_is_what_attach_returns(samosa_home, error, code):
    with pytest.raises(type(error)), detach.only_command("short", Options()):
        raise error
    assert detach.attach("short") == code


def test_a_command_that_was_killed_is_said_to_be(samosa_home):
    with detach.only_command("killed", Options()):
        unfinished = note("killed")
    assert unfinished["code"] is None and unfinished["pid"] == os.getpid()
    home.write_atomic(home.run_dir("killed") / detach.NOTE_FILE, json.dumps(unfinished))
    with pytest.raises(SamosaError, match="ended without a word"):
        detach.attach("killed")


def test_looking_away_leaves_the_run_going(samosa_home, monkeypatch, capsys):
    def ctrl_c(_):
        raise KeyboardInterrupt

    with detach.only_command("going", Options()):
        monkeypatch.setattr(detach.time, "sleep", ctrl_c)
        assert detach.attach("going") == 0
        assert "going goes on; samosa attach going" in capsys.readouterr().err
    assert note("going")["code"] == SamosaError.exit_code  # nobody said otherwise


def test_a_tag_that_was_never_run_is_refused_with_those_that_were(samosa_home):
    with detach.only_command("one", Options()):
        pass
    with pytest.raises(BadInput, match="no run is called two") as raised:
        detach.attach("two")
    assert raised.value.hint == "have: one"


def test_other_nodes_leave_the_tag_to_node_0(samosa_home):
    with detach.only_command("both", Options()), detach.only_command("both", Options(node_rank=1)):
        assert note("both")["pid"] == os.getpid()
