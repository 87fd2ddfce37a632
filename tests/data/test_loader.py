"""The loader: every row once an epoch, the same batches for every world size, from any step."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data.loader import Batch, Plan, in_order, rows_per_step
from samosa.data.packing import count_targets
from samosa.data.rows import PackedRows
from samosa.errors import BadInput

T = 4
PAD = 77


def numbered_rows(n):
    """n rows whose tokens are the row's number, with 0 to 3 targets each."""
    ids = np.repeat(np.arange(n, dtype=np.int32)[:, None], T, axis=1)
    targets = np.where(np.arange(T) < (np.arange(n) % T)[:, None], ids, -1).astype(np.int32)
    positions = np.tile(np.arange(T, dtype=np.int32), (n, 1))
    return PackedRows(ids=ids, targets=targets, positions=positions, counts=count_targets(targets), pad=PAD)


def plan_of(rows, *, per_step=3, micro_batch=2, **kwargs):
    kwargs = {"epochs": 1, "seed": 5, **kwargs}
    return Plan(rows, tokens_per_step=per_step * T, micro_batch=micro_batch, **kwargs)


def rows_of(batches):
    return [int(row[0]) for batch in batches for row in batch.ids if row[0] != PAD]


def step_rows(plan, step):
    return rows_of(batch for batch, _ in plan.micro_batches(step))


@given(st.integers(2, 30), st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_any_world_sees_every_row_once_an_epoch_in_steps_of_the_same_rows(n, per_step, micro_batch, world, epochs):
    rows = numbered_rows(n)
    alone = plan_of(rows, per_step=per_step, micro_batch=1, epochs=epochs)
    ranks = [
        plan_of(rows, per_step=per_step, micro_batch=micro_batch, epochs=epochs, world_size=world, rank=rank)
        for rank in range(world)
    ]
    seen = Counter()
    for step in range(alone.steps):
        wanted = step_rows(alone, step)
        dealt = [list(plan.micro_batches(step)) for plan in ranks]
        assert len({tuple(batch.ids.shape for batch, _ in batches) for batches in dealt}) == 1
        assert all([last for _, last in batches] == [False] * (len(batches) - 1) + [True] for batches in dealt)
        assert all(len(batch.ids) <= micro_batch for batches in dealt for batch, _ in batches)
        assert Counter(i for batches in dealt for i in rows_of(b for b, _ in batches)) == Counter(wanted)
        targets = sum(int((batch.targets >= 0).sum()) for batches in dealt for batch, _ in batches)
        assert {"nll": targets} == alone.counts(step) == ranks[-1].counts(step)
        seen.update(wanted)
    assert seen == Counter(dict.fromkeys(range(n), epochs))


def test_each_epoch_has_an_order_of_its_own_and_the_seed_decides_it():
    rows = numbered_rows(12)
    plan = plan_of(rows, per_step=12, epochs=2)
    first, second = plan.indices(0).tolist(), plan.indices(1).tolist()
    assert sorted(first) == sorted(second) == list(range(12)) and first != second
    assert plan_of(rows, per_step=12, epochs=2).indices(1).tolist() == second
    assert plan_of(rows, per_step=12, epochs=2, seed=6).indices(0).tolist() != first


def test_a_step_may_cross_an_epoch():
    plan = plan_of(numbered_rows(5), per_step=3, epochs=None, steps=4)
    order = [i for step in range(4) for i in plan.indices(step).tolist()]
    assert len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert plan.epoch(2) == pytest.approx(6 / 5)


def test_resuming_is_starting_at_another_step():
    rows = numbered_rows(20)
    straight, resumed = plan_of(rows, epochs=2), plan_of(rows, epochs=2)
    for step in range(straight.steps):
        straight_batches = [b.ids.tolist() for b, _ in straight.micro_batches(step)]
        if step >= 6:
            assert [b.ids.tolist() for b, _ in resumed.micro_batches(step)] == straight_batches


def test_the_last_step_of_an_epoch_may_be_short_and_filler_counts_nothing():
    plan = plan_of(numbered_rows(7), per_step=3, micro_batch=2, world_size=2, rank=1)
    assert plan.steps == 3
    (batch, last), *rest = plan.micro_batches(2)
    assert last and not rest
    assert batch.ids.tolist() == [[PAD] * T] and batch.targets.tolist() == [[-1] * T]
    assert batch.positions.tolist() == [list(range(T))]


def test_steps_decide_over_epochs_and_parts_of_an_epoch_work():
    rows = numbered_rows(30)
    assert plan_of(rows, epochs=1, steps=2).steps == 2
    assert plan_of(rows, epochs=0.1).total_rows == 3
    assert plan_of(rows, epochs=1.5).total_rows == 45


def test_there_is_no_batch_beyond_the_run():
    plan = plan_of(numbered_rows(3))
    with pytest.raises(IndexError):
        plan.counts(1)


def test_batches_are_int64_and_move():
    batch = next(plan_of(numbered_rows(3)).micro_batches(0))[0]
    assert {batch.ids.dtype, batch.positions.dtype, batch.targets.dtype} == {torch.int64}
    moved = batch.to("meta", non_blocking=True)
    assert isinstance(moved, Batch) and moved.targets.device.type == "meta" and moved.ids.shape == batch.ids.shape


def test_tokens_per_step_that_are_no_multiple_of_the_length_name_both_keys():
    with pytest.raises(BadInput, match="tokens_per_step 10 is not a multiple of length 4") as error:
        rows_per_step(10, 4)
    assert "train.tokens_per_step to 8" in error.value.hint and "train.length" in error.value.hint
    with pytest.raises(BadInput, match="not a multiple"):
        rows_per_step(2, 4)


@pytest.mark.parametrize("kwargs", [{"micro_batch": 0}, {"epochs": None}])
def test_a_run_without_an_end_or_a_micro_batch_is_refused(kwargs):
    with pytest.raises(BadInput, match=r"train|micro_batch"):
        plan_of(numbered_rows(3), **kwargs)


def test_no_rows_is_an_error():
    with pytest.raises(BadInput, match="not a single row"):
        plan_of(numbered_rows(0))


def test_rows_without_a_target_are_an_error_that_says_where_to_look():
    with pytest.raises(BadInput, match="none of the 1 rows has a token to learn from") as error:
        plan_of(numbered_rows(1))
    assert "masks" in error.value.hint


def test_the_smallest_part_of_an_epoch_is_a_step():
    plan = plan_of(numbered_rows(30), epochs=1e-12)
    assert (plan.total_rows, plan.steps, len(plan.indices(0))) == (1, 1, 1)


def test_validation_sees_every_row_once_over_all_ranks():
    rows = numbered_rows(7)
    shares = [rows_of(in_order(rows, micro_batch=2, world_size=2, rank=rank)) for rank in range(2)]
    assert shares == [[0, 2, 4, 6], [1, 3, 5]]
