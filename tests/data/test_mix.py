"""Blending: exact repeats, one order per seed, and validation that no copy of leaks into training."""

import json
from collections import Counter

from samosa.data.mix import MixSource, blend, read_rows, write_rows


def pool(path, name: str, rows: int):
    lines = [
        json.dumps([{"role": "user", "content": f"{name} {n}"}, {"role": "assistant", "content": "ok"}])
        for n in range(rows)
    ]
    (path / f"{name}.jsonl").write_text("\n".join(lines))
    return path / f"{name}.jsonl"


def test_every_row_is_seen_as_often_as_its_source_repeats(tmp_path):
    sources = [MixSource("a", pool(tmp_path, "a", 50), 6), MixSource("b", pool(tmp_path, "b", 3), 20)]
    mixed = blend(sources, seed=1, validation_share=0.0)
    seen = Counter(row.turns[0].text for row in mixed.training)
    assert seen == {**{f"a {n}": 6 for n in range(50)}, **{f"b {n}": 20 for n in range(3)}}
    assert [(share.source, share.training) for share in mixed.shares] == [("a", 300), ("b", 60)]


def test_one_seed_gives_one_order_and_another_seed_another(tmp_path):
    sources = [MixSource("a", pool(tmp_path, "a", 50), 2)]
    order = [
        [row.turns[0].text for row in blend(sources, seed=seed, validation_share=0.0).training] for seed in (1, 1, 2)
    ]
    assert order[0] == order[1] != order[2]
    assert sorted(order[0]) == sorted(order[2])


def test_a_validation_row_is_in_no_training_copy_and_the_account_sums(tmp_path):
    mixed = blend([MixSource("a", pool(tmp_path, "a", 400), 5)], seed=1, validation_share=0.1)
    held_out = {row.turns[0].text for row in mixed.validation}
    assert 20 <= len(held_out) <= 60
    assert not held_out & {row.turns[0].text for row in mixed.training}
    (share,) = mixed.shares
    assert share.validation == len(held_out) and share.training == 5 * (share.taken - share.validation)


def test_a_sample_does_not_depend_on_what_else_is_mixed(tmp_path):
    small = MixSource("a", pool(tmp_path, "a", 100), 1, rows=10)
    other = MixSource("b", pool(tmp_path, "b", 10), 1)
    alone = {row.turns[0].text for row in blend([small], seed=4, validation_share=0.0).training}
    beside = {
        row.turns[0].text for row in blend([other, small], seed=4, validation_share=0.0).training if row.source == "a"
    }
    assert alone == beside and len(alone) == 10


def test_rows_are_read_back_as_written(tmp_path):
    mixed = blend([MixSource("a", pool(tmp_path, "a", 5), 1)], seed=1, validation_share=0.0)
    write_rows(tmp_path / "mix.jsonl", mixed.training)
    assert list(read_rows(tmp_path / "mix.jsonl")) == mixed.training
