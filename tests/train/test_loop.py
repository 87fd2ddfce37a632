"""The loop against one big batch and torch's cross-entropy, however the batch is cut and over however many ranks."""

import math

import pytest
import torch
import torch.nn.functional as F

from samosa.data.loader import Plan
from samosa.train.loop import TrainState, finite, train
from samosa.train.objectives import NextToken, total
from samosa.train.optim import MuonAdamW
from tests.train.tiny import (
    ALONE,
    CONFIG,
    LENGTH,
    LRS,
    SCHEDULE,
    NanOnce,
    rank_main,
    run_steps,
    tiny_model,
    uneven_rows,
)

MICRO_BATCHES = (8, 4, 2, 1)  # rows: one batch as 1, 2, 4, 8 micro-batches


@pytest.fixture(scope="module")
def alone():
    """Each way of cutting the batch, in one process: float64 for five steps, float32 for one."""
    torch.set_num_threads(1)
    return {
        "float64": {m: run_steps(ALONE, micro_batch=m, dtype=torch.float64) for m in MICRO_BATCHES},
        "float32": {m: run_steps(ALONE, micro_batch=m, dtype=torch.float32, steps=1) for m in MICRO_BATCHES},
    }


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """The same over two processes and gloo; one result a rank."""
    out = tmp_path_factory.mktemp("ranks") / "results.pt"
    # The store is here, on a port the system gave, so that two tests at once never take the same one.
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    torch.multiprocessing.spawn(rank_main, args=(2, store.port, str(out)), nprocs=2)
    return [torch.load(f"{out}.{rank}", weights_only=True) for rank in (0, 1)]


def dense_answer(dtype):
    """Loss and gradients of the whole batch at once, by torch's own cross-entropy over all logits."""
    model, rows = tiny_model(dtype), uneven_rows()
    ids, targets, positions = (torch.from_numpy(a.astype("int64")) for a in (rows.ids, rows.targets, rows.positions))
    logits = model(ids, positions=positions)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters()}


def furthest(ours, theirs):
    """The largest distance of any number."""
    assert ours.keys() == theirs.keys()
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def relative(ours, theirs):
    """The largest distance of a tensor, relative to its norm."""
    assert ours.keys() == theirs.keys()
    return max(((ours[n] - theirs[n]).norm() / theirs[n].norm()).item() for n in ours)


def test_some_micro_batch_has_nothing_to_learn_and_some_row_little():
    plan = Plan(uneven_rows(), tokens_per_step=8 * LENGTH, micro_batch=1, seed=3, steps=5)
    counts = [[int((batch.targets >= 0).sum()) for batch, _ in plan.micro_batches(step)] for step in range(5)]
    assert all(0 in step and len(set(step)) > 3 for step in counts)


@pytest.mark.parametrize("micro_batch", MICRO_BATCHES)
def test_float64_weights_after_five_steps_do_not_depend_on_the_micro_batch(alone, micro_batch):
    runs = alone["float64"]
    assert furthest(runs[micro_batch]["weights"], runs[8]["weights"]) < 1e-6
    assert runs[micro_batch]["losses"] == pytest.approx(runs[8]["losses"], abs=1e-12)


@pytest.mark.parametrize("micro_batch", (1, 4))
def test_float64_weights_after_five_steps_do_not_depend_on_the_number_of_ranks(alone, two_ranks, micro_batch):
    for rank in two_ranks:
        assert furthest(rank["float64"][micro_batch]["weights"], alone["float64"][8]["weights"]) < 1e-6


@pytest.mark.parametrize("micro_batch", MICRO_BATCHES)
def test_gradients_and_loss_are_those_of_one_big_batch(alone, micro_batch):
    for name, dtype, tolerance in (("float64", torch.float64, 1e-12), ("float32", torch.float32, 1e-6)):
        loss, grads = dense_answer(dtype)
        run = alone[name][micro_batch]
        assert run["losses"][0] == pytest.approx(loss, abs=1e-5 if dtype == torch.float32 else 1e-12)
        assert relative(run["grads"][0], grads) < tolerance
        norm = math.sqrt(sum(g.double().square().sum().item() for g in grads.values()))
        assert run["norms"][0] == pytest.approx(norm, rel=1e-5)


def test_float32_gradients_over_two_ranks_are_those_of_one_big_batch(two_ranks):
    loss, grads = dense_answer(torch.float32)
    for rank in two_ranks:
        run = rank["float32"][2]
        assert relative(run["grads"][0], grads) < 1e-6
        assert run["losses"][0] == pytest.approx(loss, abs=1e-5)


def test_a_loss_that_is_not_finite_on_one_rank_is_skipped_by_both(two_ranks):
    first, second = (rank["nan"] for rank in two_ranks)
    assert first["skipped"] == second["skipped"] == [False, True, False]
    assert furthest(first["weights"], second["weights"]) == 0
    assert all(weight.isfinite().all() for weight in first["weights"].values())


def test_a_skipped_step_changes_nothing_and_is_counted():
    model = tiny_model()
    optimizer = MuonAdamW(model.named_parameters(), **LRS, n_embd=CONFIG.n_embd)
    state, before = TrainState(model, optimizer), {n: p.detach().clone() for n, p in model.named_parameters()}
    plan = Plan(uneven_rows(), tokens_per_step=8 * LENGTH, micro_batch=4, seed=3, steps=1)
    reports = []
    train(state, NanOnce(1), plan, SCHEDULE, ALONE, after_step=reports.append)  # the second micro-batch is the bad one
    assert (state.step, state.skipped, reports[0].skipped) == (1, 1, True)
    assert furthest(before, {n: p.detach() for n, p in model.named_parameters()}) == 0
    assert all(p.grad is None for p in model.parameters())


def test_a_run_that_is_asked_to_stop_finishes_its_step():
    model = tiny_model()
    state = TrainState(model, MuonAdamW(model.named_parameters(), **LRS, n_embd=CONFIG.n_embd))
    plan = Plan(uneven_rows(), tokens_per_step=8 * LENGTH, micro_batch=8, seed=3, steps=5)
    reports = []
    train(
        state,
        NextToken(),
        plan,
        SCHEDULE,
        ALONE,
        after_step=reports.append,
        stop_asked=lambda: state.step == 1,
    )
    assert [(r.step, r.stop) for r in reports] == [(1, False), (2, True)]
    assert state.step == 2


def test_a_term_that_nobody_supervises_contributes_nothing():
    a, b = torch.tensor(6.0, requires_grad=True), torch.tensor(0.0, requires_grad=True)
    loss = total({"nll": a, "pairs": b}, {"nll": 3, "pairs": 0}, world_size=2)
    loss.backward()
    assert loss.item() == 4.0
    assert (a.grad.item(), b.grad.item()) == (pytest.approx(2 / 3), 0.0)


def test_a_gradient_that_overflows_is_not_finite():
    model = tiny_model()
    state = TrainState(model, MuonAdamW(model.named_parameters(), **LRS, n_embd=CONFIG.n_embd))
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    seen = {"nll": torch.tensor(1.0, dtype=torch.float64)}
    assert finite(state, seen, ALONE, stop=False).ok
    next(iter(model.parameters())).grad.fill_(math.inf)
    assert not finite(state, seen, ALONE, stop=False).ok
