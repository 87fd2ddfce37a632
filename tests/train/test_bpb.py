"""Bits per byte against nanochat's recorded value and against a count by hand."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from samosa.home import CheckpointRef
from samosa.model.checkpoint import load_model, load_token_bytes
from samosa.train.bpb import evaluate
from tests.train.tiny import ALONE, VOCAB, tiny_model


@dataclass
class Rows:
    ids: Tensor
    targets: Tensor
    positions: Tensor | None = None


def test_nanochats_own_validation_gives_its_own_bits_per_byte(golden):
    recorded = torch.load(golden / "bpb.pt", weights_only=True)
    ids, targets = recorded["ids"].long(), recorded["targets"].long()
    batches = [Rows(ids[i : i + 4], targets[i : i + 4]) for i in range(0, 16, 4)]
    model, _ = load_model(CheckpointRef("base", "d2", 150, golden / "base_checkpoints" / "d2"))
    found = evaluate(model, batches, load_token_bytes(golden / "tokenizer"), ALONE)
    assert found.bits_per_byte == pytest.approx(recorded["val"], abs=1e-6)


def test_targets_without_loss_and_special_tokens_count_neither_in_loss_nor_in_bytes():
    model = tiny_model(torch.float64)
    ids = torch.arange(24).view(2, 12) % VOCAB
    targets = torch.tensor([[5, -1, 63, 7] * 3, [-1, 9, 63, -1] * 3])
    token_bytes = torch.arange(VOCAB) % 4 + 1
    token_bytes[63] = 0
    nats = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
    counts = [i for i, t in enumerate(targets.flatten().tolist()) if t in (5, 7, 9)]
    expected = sum(nats[i].item() for i in counts) / math.log(2) / sum((2, 4, 2) * 3)  # bytes of 5, 7 and 9
    found = evaluate(model, [Rows(ids, targets)], token_bytes, ALONE)
    assert found.bits_per_byte == pytest.approx(expected, rel=1e-12)
    one_by_one = [Rows(ids[:1], targets[:1]), Rows(ids[1:], targets[1:]), Rows(ids, torch.full_like(targets, -1))]
    assert evaluate(model, one_by_one, token_bytes, ALONE).bits_per_byte == pytest.approx(expected, rel=1e-12)


def test_nothing_supervised_has_no_value_and_a_model_that_diverged_one_that_is_not_finite():
    ids, model = torch.zeros(1, 4, dtype=torch.long), tiny_model()
    assert evaluate(model, [Rows(ids, ids - 1)], torch.ones(VOCAB), ALONE) is None
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    value = evaluate(model, [Rows(ids, ids)], torch.ones(VOCAB), ALONE)
    assert value is not None and not math.isfinite(value.bits_per_byte)


def test_buckets_go_by_the_place_in_the_document_and_sum_to_the_whole():
    model = tiny_model(torch.float64)
    ids = torch.arange(600).view(2, 300) % VOCAB
    positions = torch.stack([torch.arange(300), torch.cat([torch.arange(20), torch.arange(280)])])
    targets = ids.clone()
    targets[0, 40:290] = -1
    nats = F.cross_entropy(
        model(ids, positions=positions).flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none"
    )
    supervised = targets.flatten() >= 0
    far = (positions.flatten() >= 256) & supervised
    found = evaluate(model, [Rows(ids, targets, positions)], torch.full((VOCAB,), 2), ALONE)
    assert list(found.by_position) == [0, 256] and far.sum() == 10 + 24
    for start, chosen in ((0, supervised & ~far), (256, far)):
        expected = nats[chosen].sum().item() / math.log(2) / (2 * chosen.sum().item())
        assert found.by_position[start] == pytest.approx(expected, rel=1e-12)
