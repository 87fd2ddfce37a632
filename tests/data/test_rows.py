"""Packed rows on disk: what was saved is what is read, or an error says it is not."""

import errno
import json

import numpy as np
import pytest

from samosa.data.packing import Doc, pack_documents
from samosa.data.rows import PackedRows
from samosa.errors import NotReady


def some_rows(seed=0):
    docs = [Doc(ids=list(range(n)), mask=[0] + [1] * (n - 1), source=f"s{n % 2}", row=n) for n in range(1, 30)]
    return pack_documents(docs, length=32, overlong="error", seed=seed, pad=99)


def test_saved_rows_come_back_as_they_were_and_mapped(tmp_path):
    rows = some_rows()
    rows.save(tmp_path / "rows")
    back = PackedRows.load(tmp_path / "rows")
    for name in ("ids", "targets", "positions"):
        assert isinstance(getattr(back, name), np.memmap)
        assert np.array_equal(getattr(back, name), getattr(rows, name))
    assert np.array_equal(back.counts["nll"], rows.counts["nll"])
    assert (back.accounts, back.pad, back.key, back.fill) == (rows.accounts, rows.pad, rows.key, rows.fill)


def test_the_key_is_what_training_sees():
    assert some_rows(0).key == some_rows(0).key != some_rows(1).key


def test_saving_again_replaces_other_rows_and_leaves_the_same_alone(tmp_path):
    some_rows(0).save(tmp_path / "rows")
    before = (tmp_path / "rows" / "ids.npy").stat().st_mtime_ns
    some_rows(0).save(tmp_path / "rows")
    assert (tmp_path / "rows" / "ids.npy").stat().st_mtime_ns == before
    some_rows(1).save(tmp_path / "rows")
    assert PackedRows.load(tmp_path / "rows").key == some_rows(1).key


@pytest.mark.parametrize("damage", ["absent", "cut", "flipped", "no meta", "pickle"])
def test_broken_rows_are_refused(tmp_path, damage):
    path = tmp_path / "rows"
    if damage != "absent":
        some_rows().save(path)
    if damage == "cut":
        (path / "targets.npy").write_bytes((path / "targets.npy").read_bytes()[:-50])
    elif damage == "flipped":
        PackedRows.load(path)
        bits = bytearray((path / "count_nll.npy").read_bytes())
        bits[-8] ^= 1
        (path / "count_nll.npy").write_bytes(bits)
    elif damage == "no meta":
        (path / "meta.json").write_text("{")
    elif damage == "pickle":
        np.save(path / "ids.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(NotReady, match="are broken"):
        PackedRows.load(path)


@pytest.mark.parametrize("change", [None, [], 5, {"terms": 5}, {"accounts": []}, {"accounts": {"s": 1}}, {"shape": 3}])
def test_rows_with_a_broken_meta_are_refused_and_written_anew(tmp_path, change):
    path = tmp_path / "rows"
    some_rows().save(path)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, **change} if isinstance(change, dict) else change))
    with pytest.raises(NotReady, match="are broken"):
        PackedRows.load(path)
    some_rows().save(path)
    assert PackedRows.load(path).key == some_rows().key


def test_a_failed_save_leaves_the_rows_that_were_there(tmp_path, monkeypatch):
    some_rows(0).save(tmp_path / "rows")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(NotReady):
        some_rows(1).save(tmp_path / "rows")
    assert PackedRows.load(tmp_path / "rows").key == some_rows(0).key
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]
