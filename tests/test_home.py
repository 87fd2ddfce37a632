import errno
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa import home
from samosa.errors import BadInput, NotReady


def checkpoint(kind: str, tag: str, step: int, *, manifest: bool = True) -> None:
    directory = home.checkpoint_dir(kind, tag)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"model_{step:06d}.pt").write_bytes(b"")
    if manifest:
        (directory / f"manifest_{step:06d}.json").write_text("{}")


def refusal(name: str, **options) -> str:
    with pytest.raises(BadInput) as caught:
        home.find_checkpoint(name, **options)
    return f"{caught.value.message} | {caught.value.hint}"


def test_places_follow_samosa_home(samosa_home):
    assert home.root() == samosa_home
    assert home.run_dir("a") == samosa_home / "runs" / "a"
    assert home.checkpoint_dir("base", "d24") == samosa_home / "base_checkpoints" / "d24"
    assert home.checkpoint_dir("chat", "d24-sft") == samosa_home / "chatsft_checkpoints" / "d24-sft"
    assert home.evals_file() == samosa_home / "evals" / "eval_results_v2.jsonl"


@pytest.mark.parametrize("value", [None, ""])
def test_without_samosa_home_it_is_the_cache(monkeypatch, value):
    monkeypatch.delenv("SAMOSA_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("SAMOSA_HOME", value)
    assert home.root() == Path.home() / ".cache" / "samosa"


@pytest.mark.parametrize("tag", ["../x", "a/b", "", ".hidden", "a b", "a@3", "-x"])
def test_a_tag_that_cannot_name_a_folder_is_refused(samosa_home, tag):
    with pytest.raises(BadInput):
        home.run_dir(tag)


def test_files_of_a_step_are_named_as_nanochat_names_them(samosa_home):
    checkpoint("chat", "d24-sft-r6", 754)
    ref = home.find_checkpoint("d24-sft-r6@754")
    assert ref.name == "d24-sft-r6@754"
    assert ref.model_path == samosa_home / "chatsft_checkpoints" / "d24-sft-r6" / "model_000754.pt"
    assert [p.name for p in (ref.meta_path, ref.manifest_path, ref.train_dir)] == [
        "meta_000754.json",
        "manifest_000754.json",
        "train_000754",
    ]


def test_without_a_step_the_latest_complete_one_is_meant(samosa_home):
    for step in (50, 1_000_000, 200):
        checkpoint("base", "a", step)
    checkpoint("base", "a", 2_000_000, manifest=False)
    assert home.find_checkpoint("a").step == 1_000_000
    assert [ref.step for ref in home.list_checkpoints("base", "a")] == [50, 200, 1_000_000, 2_000_000]


def test_a_checkpoint_that_others_made_must_be_named_with_its_step(samosa_home):
    checkpoint("base", "d24", 5568, manifest=False)
    checkpoint("base", "d24", 100, manifest=False)
    assert "have: d24@100, d24@5568" in refusal("d24")
    assert home.find_checkpoint("d24@5568").step == 5568
    assert home.find_checkpoint("base/d24@100").kind == "base"


def test_an_unknown_tag_lists_what_is_there_and_guesses(samosa_home):
    checkpoint("base", "d24", 1)
    checkpoint("chat", "d24-sft-r6", 1)
    text = refusal("d24-sft-r7")
    assert "d24-sft-r7" in text and "did you mean d24-sft-r6?" in text and "have: d24, d24-sft-r6" in text


def test_an_unknown_tag_in_an_empty_home_says_where_it_looked(samosa_home):
    assert str(samosa_home) in refusal("d24")


def test_an_unknown_step_lists_the_steps(samosa_home):
    checkpoint("chat", "r6", 754)
    assert "r6 has no step 755 | have: r6@754" in refusal("r6@755")


def test_a_tag_of_both_kinds_needs_a_word_more_unless_the_step_settles_it(samosa_home):
    checkpoint("base", "a", 10)
    checkpoint("chat", "a", 10)
    checkpoint("chat", "a", 20)
    assert "say base/a or chat/a" in refusal("a")
    assert "say base/a@10 or chat/a@10" in refusal("a@10")
    assert home.find_checkpoint("a@20").kind == "chat"
    assert home.find_checkpoint("base/a").step == 10
    assert home.find_checkpoint("a", kind="chat").step == 20


def test_a_kind_that_is_not_wanted_is_refused(samosa_home):
    checkpoint("base", "a", 10)
    assert "a chat checkpoint is needed" in refusal("base/a", kind="chat")
    assert "no chat checkpoint is called a" in refusal("a", kind="chat")


@pytest.mark.parametrize("name", ["", "@3", "a@", "a@x", "sft/a", "a/b/c", "../a", "a@-1"])
def test_what_is_no_name_is_said_to_be_none(samosa_home, name):
    assert "is not the name of a checkpoint" in refusal(name)


def test_local_tags_are_those_with_a_model_file(samosa_home):
    checkpoint("chat", "b", 1)
    checkpoint("base", "a", 1)
    checkpoint("base", "b", 1)
    home.checkpoint_dir("base", "empty").mkdir()
    assert home.local_tags() == ["a", "b"]


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=2000))
def test_a_written_file_holds_what_was_given(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("w") / "deep" / "file.bin"
    home.write_atomic(path, data)
    assert path.read_bytes() == data
    assert home.sha256_file(path) == hashlib.sha256(data).hexdigest()
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_the_temporary_name_keeps_its_suffix_and_goes_when_the_writer_fails(tmp_path):
    path = tmp_path / "rows.npy"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), home.atomic_path(path) as temp:
        assert temp.suffix == ".npy" and temp.parent == tmp_path
        temp.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_can_appear_whole_too(tmp_path):
    with home.atomic_path(tmp_path / "rows") as temp:
        (temp / "deep").mkdir(parents=True)
        (temp / "deep" / "a").write_text("a")
    assert (tmp_path / "rows" / "deep" / "a").read_text() == "a"


def test_a_kill_between_writing_and_renaming_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")
    code = (
        "import os, signal, sys; from samosa import home\n"
        "with home.atomic_path(sys.argv[1]) as temp:\n"
        "    temp.write_text('new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"
    (left,) = tmp_path.glob(".tmp-*")

    home.write_atomic(path, "newer")
    assert left.exists(), "it could still be someone's"
    os.utime(left, (time.time() - 2 * home.ABANDONED,) * 2)
    home.write_atomic(path, "newest")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"] and path.read_text() == "newest"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_said_and_the_earlier_file_is_untouched(tmp_path, monkeypatch, call):
    path = tmp_path / "model.pt"
    path.write_text("old")

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if call == "fsync" else Path, call, full)
    with pytest.raises(NotReady) as caught:
        home.write_atomic(path, "new")
    monkeypatch.undo()
    assert str(path) in caught.value.message and "free" in caught.value.message
    assert "earlier files are untouched" in caught.value.hint
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [home.write_atomic, home.append_line])
@pytest.mark.parametrize("below", ["a", "deep/a"])
def test_a_home_that_is_a_file_is_said(tmp_path, write, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady) as caught:
        write(tmp_path / "file" / below, "x")
    assert caught.value.message.startswith(f"cannot write {tmp_path / 'file'}")
    assert caught.value.message.endswith(": Not a directory")
    assert "SAMOSA_HOME" in caught.value.hint and "--out" in caught.value.hint


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("call", ["mkdir", "unlink", "replace"])
def test_a_disk_that_cannot_be_written_is_said_even_when_cleaning_up_fails(tmp_path, monkeypatch, call, number):
    def refuse(path, *args, **options):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, call, refuse)
    if call != "replace":
        monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(NotReady) as caught:
        home.write_atomic(tmp_path / "a", "x")
    assert caught.value.message.endswith(os.strerror(number))


@pytest.mark.parametrize("write", [home.write_atomic, home.append_line])
def test_a_folder_in_a_files_place_is_said(tmp_path, write):
    (tmp_path / "a").mkdir()
    with pytest.raises(NotReady, match="Is a directory"):
        write(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_that_can_never_be_made_is_said():
    with pytest.raises(NotReady, match="cannot write /proc/samosa"):
        home.make_folder(Path("/proc/samosa/home"))


def test_what_cannot_be_written_is_known_before_it_is_tried(tmp_path, monkeypatch):
    home.require_writable(tmp_path / "not" / "yet")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="Not a directory"):
        home.require_writable(tmp_path / "file" / "below")
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(NotReady, match="Permission denied"):
        home.require_writable(tmp_path / "not" / "yet")


def test_other_failures_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), home.atomic_path(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/input")
    with pytest.raises(FileNotFoundError), home.atomic_path(tmp_path / "x") as temp:
        temp.read_bytes()
    with pytest.raises(RuntimeError, match="mine"), home.atomic_path(tmp_path / "x"):
        raise RuntimeError("mine")


def test_an_append_that_meets_a_full_disk_half_way_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "evals" / "log.jsonl"
    home.append_line(path, '{"a": 1}')
    real, calls = os.write, []

    def half(descriptor, line):
        calls.append(line)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, line[:3])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(NotReady):
        home.append_line(path, '{"b": 2}')
    monkeypatch.undo()
    assert path.read_text() == '{"a": 1}\n'


def test_a_line_after_a_torn_one_is_whole(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"b":')
    home.append_line(path, '{"c": 3}')
    assert json.loads(path.read_text().splitlines()[-1]) == {"c": 3}


def _append_many(path: Path, who: int) -> None:
    for number in range(25):
        home.append_line(path, json.dumps([who, number]))


def test_two_processes_append_whole_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(path, who)) for who in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(rows) == [[who, number] for who in range(2) for number in range(25)]


def test_space_is_asked_for_before_it_is_needed(tmp_path):
    home.require_space(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(NotReady) as caught:
        home.require_space(tmp_path, 10**18)
    assert "1000000.0 TB" in caught.value.message


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")
def test_a_process_that_ended_is_not_alive_while_nobody_has_taken_notice():
    ended = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    ended.stdout.read()  # its end, or nearly
    deadline = time.monotonic() + 60
    while home.alive(ended.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(ended.pid, 0)  # it still has its number
    assert ended.wait() == 0 and not home.alive(ended.pid) and home.alive(os.getpid())
