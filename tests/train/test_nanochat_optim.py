"""nanochat's per-rank optimizer files against the steps that two of its ranks took, cut for any number of ranks."""

import os
from pathlib import Path

import pytest
import torch
from torch.nn import Parameter

from samosa.errors import BadInput, NotReady
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.train.nanochat_optim import group_order, read_nanochat_optimizer
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import StepHyper
from tests.train.simulated import simulate

LRS = {"matrix_lr": 0.02, "embedding_lr": 0.2, "unembedding_lr": 0.004, "scalar_lr": 0.5}
HYPER = StepHyper(lr=1.0, momentum=0.95, weight_decay=0.05)


@pytest.fixture(scope="module")
def record():
    return torch.load(Path(__file__).parents[1] / "golden" / "optim_ws2.pt", weights_only=True)


def save(states, directory, step=2):
    for rank, state in enumerate(states):
        torch.save(state, directory / f"optim_{step:06d}_rank{rank}.pt")


def two_steps(record, where=None):
    """Our own optimizer, given the mean of what nanochat's two ranks were given: (parameters, state)."""
    params = {name: Parameter(value.clone()) for name, value in record["init"].items()}
    optimizer = MuonAdamW(params.items(), **LRS, n_embd=record["config"]["n_embd"], where=where)
    sources = [torch.Generator().manual_seed(100 + rank) for rank in range(2)]
    for _ in range(2):
        first, second = (
            {name: torch.randn(p.shape, generator=source) * 0.01 for name, p in params.items()} for source in sources
        )
        for name, param in params.items():
            param.grad = (first[name] + second[name]) / 2
        optimizer.step(HYPER)
    return {name: param.detach() for name, param in params.items()}, optimizer.state_dict()


def recut(record, ranks):
    """The state of nanochat's two ranks as `ranks` of them would hold it, by the rules of its optimizer."""
    one, two = record["ranks"]
    sizes = {name: value.numel() for name, value in record["init"].items()}
    states = [{"state": {}, "param_groups": one["param_groups"]} for _ in range(ranks)]
    for names, group in zip(record["group_names"], one["param_groups"], strict=True):
        if group["kind"] == "muon":
            index, chunk = group["params"][0], -(-len(names) // ranks)
            for field in ("momentum_buffer", "second_momentum_buffer"):
                whole = torch.cat([half["state"][index][field] for half in (one, two)])[: len(names)]
                padded = torch.cat([whole, whole.new_zeros(chunk * ranks - len(names), *whole.shape[1:])])
                for rank, part in enumerate(padded.split(chunk)):
                    states[rank]["state"].setdefault(index, {})[field] = part.clone()
            continue
        for name, index in zip(names, group["params"], strict=True):
            for rank in range(ranks):
                states[rank]["state"][index] = {"step": one["state"][index]["step"]}
            for field in ("exp_avg", "exp_avg_sq"):
                halves = [half["state"][index][field] for half in (one, two)]
                small = sizes[name] < 1024
                parts = [halves[0]] * ranks if small else torch.cat(halves).chunk(ranks)
                for rank in range(ranks):
                    states[rank]["state"][index][field] = parts[rank].clone()
    return states


def test_steps_shared_by_two_ranks_end_where_nanochats_two_ranks_ended(record, monkeypatch):
    results, _ = simulate(2, lambda where: two_steps(record, where), monkeypatch)
    for params, _ in results:
        for name, expected in record["params"].items():  # every seventh number of it
            torch.testing.assert_close(params[name].flatten()[::7], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 16])
def test_rank_files_of_any_number_of_ranks_are_read_whole_and_by_name(record, tmp_path, ranks):
    save(record["ranks"] if ranks == 2 else recut(record, ranks), tmp_path)
    found = read_nanochat_optimizer(tmp_path, 2, record["init"].items())
    _, expected = two_steps(record)
    assert found.keys() == expected.keys()
    for name, fields in expected.items():
        assert found[name].keys() == fields.keys()
        for key, value in fields.items():
            torch.testing.assert_close(found[name][key], value, atol=1e-6, rtol=1e-4)


def test_what_was_read_is_taken_over_and_trained_on(record, tmp_path):
    save(record["ranks"], tmp_path)
    params, state = two_steps(record)
    names = ["lm_head.weight", "transformer.h.1.attn.c_v.weight"]
    found = read_nanochat_optimizer(tmp_path, 2, params.items(), only=names)
    assert sorted(found) == names
    optimizer = MuonAdamW([(n, Parameter(params[n])) for n in names], **LRS, n_embd=24)
    optimizer.load_state_dict(found)
    assert optimizer.state_dict()["lm_head.weight"]["step"] == state["lm_head.weight"]["step"] == 2


def test_averages_in_bf16_become_the_masters_dtype(record, tmp_path):
    states = recut(record, 2)
    for state in states:
        for field in ("exp_avg", "exp_avg_sq"):
            state["state"][1][field] = state["state"][1][field].bfloat16()
    save(states, tmp_path)
    found = read_nanochat_optimizer(tmp_path, 2, record["init"].items())
    assert found["transformer.wte.weight"]["exp_avg"].dtype == torch.float32


def test_the_groups_are_nanochats_whatever_order_the_parameters_come_in(record):
    fields = {**record["config"], "vocab_size": 64}
    model = GPT(ModelConfig(**fields))
    named = dict(model.named_parameters())
    assert group_order(named) == record["group_names"]
    assert group_order(dict(reversed(named.items()))) == record["group_names"]


class Code:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    "damage", ["code", "missing rank", "last rank", "cut short", "other model", "not nanochat's", "steps"]
)
def test_files_that_cannot_be_taken_over_are_refused(record, tmp_path, damage):
    states = [{**state, "state": dict(state["state"])} for state in recut(record, 4)]
    save(states, tmp_path)
    last, second = tmp_path / "optim_000002_rank3.pt", tmp_path / "optim_000002_rank1.pt"
    error, match, params = NotReady, "cannot be taken over", record["init"]
    if damage == "code":
        torch.save({**states[3], "state": Code()}, last)
        error, match = BadInput, "could run code"
    elif damage == "missing rank":
        second.unlink()
        match = "rank1.pt is not there"
    elif damage == "last rank":
        last.unlink()
    elif damage == "cut short":
        last.write_bytes(last.read_bytes()[:-1000])
        match = "broken"
    elif damage == "other model":
        params = {name: value for name, value in params.items() if ".h.2." not in name}
    elif damage == "not nanochat's":
        torch.save([1, 2, 3], last)
    else:
        states[3]["state"][0] = {**states[3]["state"][0], "step": 7}
        torch.save(states[3], last)
        match = "different steps"
    with pytest.raises(error, match=match):
        read_nanochat_optimizer(tmp_path, 2, params.items())


def test_no_files_at_all_are_not_ready(record, tmp_path):
    with pytest.raises(NotReady, match="optim_000002_rank"):
        read_nanochat_optimizer(tmp_path, 2, record["init"].items())
