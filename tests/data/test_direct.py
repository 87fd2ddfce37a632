"""Files written past memory are the same as others, whatever the file system can and however much it takes at once."""

import errno
import os
import random
from pathlib import Path

import pytest

from samosa.data import direct

PAGE = 4096


class Narrow:
    """A file that takes so many bytes at once."""

    def __init__(self, file, at_once):
        self.file, self.at_once = file, at_once

    def write(self, block):
        return self.file.write(block[: self.at_once])

    def __getattr__(self, name):
        return getattr(self.file, name)


def pieces_of(rng):
    sizes = (0, 1, 17, 511, PAGE - 1, PAGE, 2 * PAGE, 3 * PAGE + 5)
    return [rng.randbytes(rng.choice(sizes)) for _ in range(rng.randint(0, 30))]


def check(path, rng):
    for _ in range(10):
        pieces = pieces_of(rng)
        with direct.DirectWriter(path, 2 * PAGE) as file:
            for piece in pieces[: len(pieces) // 2]:
                assert file.write(memoryview(piece)) == len(piece)
            file.writelines(pieces[len(pieces) // 2 :])
        assert path.read_bytes() == b"".join(pieces)


def test_what_is_written_in_pieces_of_any_size_stands_in_the_file(tmp_path, soak_seed):
    check(tmp_path / "file", random.Random(soak_seed))


def test_where_the_system_knows_no_way_past_memory_files_are_the_same(tmp_path, monkeypatch, soak_seed):
    monkeypatch.setattr(direct, "STRAIGHT", 0)
    monkeypatch.setattr(direct, "LET_GO", 3 * PAGE)
    check(tmp_path / "file", random.Random(soak_seed))


def test_where_the_file_system_refuses_it_files_are_the_same(tmp_path, monkeypatch, soak_seed):
    created = direct._created

    def refuse(path, flag):
        if flag:
            raise OSError(errno.EINVAL, "Invalid argument")
        return created(path, flag)

    monkeypatch.setattr(direct, "STRAIGHT", 1 << 14)
    monkeypatch.setattr(direct, "_created", refuse)
    check(tmp_path / "file", random.Random(soak_seed))


@pytest.mark.parametrize("at_once", [PAGE, 1000, 1])
def test_files_that_take_less_at_once_are_the_same(tmp_path, monkeypatch, soak_seed, at_once):
    created = direct._created
    monkeypatch.setattr(direct, "_created", lambda path, flag: Narrow(created(path, flag), at_once))
    check(tmp_path / "file", random.Random(soak_seed))


def test_blocks_go_past_memory_where_it_can_be_and_the_rest_through_it(tmp_path, monkeypatch):
    flags, puts = [], direct.DirectWriter._put

    def put(writer, block):
        flags.append((len(block), writer._straight))
        puts(writer, block)

    monkeypatch.setattr(direct.DirectWriter, "_put", put)
    with direct.DirectWriter(tmp_path / "file", PAGE) as file:
        can = file._straight
        file.write(bytes(2 * PAGE + 3))
    assert can or not hasattr(os, "O_DIRECT") or not _takes_pages(tmp_path / "other")
    assert flags == [(PAGE, can), (PAGE, can), (3, False)]


def _takes_pages(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True


def test_a_full_disk_is_told_and_nothing_is_written_after_an_error(tmp_path):
    with pytest.raises(OSError) as told, direct.DirectWriter(tmp_path / "file", PAGE) as file:
        file._file.close()
        file._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
        file.write(bytes(PAGE))
    assert told.value.errno == errno.ENOSPC
    with pytest.raises(KeyError), direct.DirectWriter(tmp_path / "other", PAGE) as file:
        file.write(b"never whole")
        raise KeyError
    assert (tmp_path / "other").read_bytes() == b""
