"""One side of the judging measurement: `python -m benchmarks._eval MODEL-SIDE SEED`.

Turns: 300 different greedy requests, a system text of 64 tokens in front of questions of 16 to 64, answers of up to
8 to 32 tokens; `batched` answers all of them in one engine, `alone` a third of them (seed modulo 3) one after the
other in an engine of one row. Choices: questions with a context of 512 tokens and four choices of 1 to 12; `shared` is
`score`, `apart` reads each question's four choices as four whole rows, the head on the choices alone.
"""

import hashlib
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks._sides import ROOT, THREADS
from samosa.chat.tokenizer import Tokenizer, load_tokenizer
from samosa.model.config import ModelConfig
from samosa.model.engine import Engine, Request
from samosa.model.gpt import GPT
from samosa.model.scoring import Item, score

CONFIGS = {
    "tiny": ModelConfig(
        sequence_len=1024, vocab_size=1024, n_layer=4, n_head=4, n_kv_head=4, n_embd=128, window_pattern="L"
    ),
    "d6": ModelConfig(
        sequence_len=2048, vocab_size=32_768, n_layer=6, n_head=3, n_kv_head=3, n_embd=384, window_pattern="SSSL"
    ),
}
PARTS = 3
REQUESTS, SYSTEM, LONGEST = 300, 64, 64 + 64 + 32
ROWS = 100
QUESTIONS = {"tiny": 24, "d6": 8}
CONTEXT, CHOICES, CHECKED = 512, 4, 1


def new_model(name: str) -> GPT:
    """Random weights, the same every time, that make every part of the network matter."""
    generator = torch.Generator().manual_seed(0)
    model = GPT(CONFIGS[name])
    model.init_weights(generator)
    with torch.no_grad():
        for block in model.blocks:
            for weight in (block.attn.c_proj.weight, block.mlp.c_proj.weight):
                weight.normal_(0.0, 0.02, generator=generator)
        model.lm_head.weight.normal_(0.0, 0.05, generator=generator)
    return model.eval()


def requests(vocabulary: int, seed: int) -> list[Request]:
    draw = random.Random(seed)
    system = draw.choices(range(vocabulary), k=SYSTEM)
    questions = [draw.choices(range(vocabulary), k=draw.randint(16, 64)) for _ in range(REQUESTS)]
    return [Request([*system, *question], max_tokens=draw.randint(8, 32)) for question in questions]


def turns(model: GPT, tokenizer: Tokenizer, side: str, seed: int) -> dict[str, Any]:
    """Seconds a request, tokens, and what was said as a hash of each third of the requests."""
    asked = requests(256, seed // PARTS)
    rows = ROWS if side == "batched" else 1
    engine = Engine(model, tokenizer, toolbox=None, rows=rows, max_length=LONGEST)
    engine.run(asked[:2])  # what is lazy
    part = seed % PARTS
    mine = asked if side == "batched" else asked[part::PARTS]
    began = time.perf_counter()
    said = engine.run(mine) if side == "batched" else [engine.run([request])[0] for request in mine]
    seconds = time.perf_counter() - began
    thirds = {i: said[i::PARTS] for i in range(PARTS)} if side == "batched" else {part: said}
    told = {i: hashlib.sha256(json.dumps([one.ids for one in third]).encode()) for i, third in thirds.items()}
    return {
        "seconds": seconds / len(mine),
        "tokens": sum(len(one.ids) for one in said),
        "said": {i: digest.hexdigest()[:16] for i, digest in told.items()},
    }


def choices(model: GPT, tokenizer: Tokenizer, side: str, seed: int, questions: int) -> dict[str, Any]:
    """Seconds a question, and how far the two sides' log-probabilities of CHECKED of them differ."""
    draw = random.Random(seed // PARTS)
    items: list[Item] = []
    for _ in range(questions):
        context = draw.choices(range(256), k=CONTEXT)
        items += [(context, draw.choices(range(256), k=draw.randint(1, 12))) for _ in range(CHOICES)]
    for these in (items[:CHOICES], items):  # the first time for what is lazy
        began = time.perf_counter()
        if side == "shared":
            score(model, tokenizer, these)
        else:
            apart(model, these)
        seconds = time.perf_counter() - began
    some = items[: CHECKED * CHOICES]
    off = max(abs(a.logprob - b) for a, b in zip(score(model, tokenizer, some), apart(model, some), strict=True))
    return {"seconds": seconds / questions, "difference": off}


@torch.inference_mode()
def apart(model: GPT, items: list[Item]) -> list[float]:
    """Every choice behind its whole context, four rows a pass."""
    found: list[float] = []
    for first in range(0, len(items), CHOICES):
        these = items[first : first + CHOICES]
        longest = max(len(context) + len(choice) for context, choice in these)
        ids, targets = torch.zeros(2, len(these), longest, dtype=torch.long)
        targets -= 1
        for row, (context, choice) in enumerate(these):
            ids[row, : len(context) + len(choice)] = torch.tensor([*context, *choice])
            targets[row, len(context) - 1 : len(context) + len(choice) - 1] = torch.tensor(choice)
        each = model(ids, targets=targets, nll="none")
        found += [-part.sum().item() for part in each.split([len(choice) for _, choice in these])]
    return found


def main(name: str, side: str, seed: int) -> dict[str, Any]:
    model, tokenizer = new_model(name), load_tokenizer(Path(ROOT) / "tests" / "golden" / "tokenizer")
    if side in ("batched", "alone"):
        return turns(model, tokenizer, side, seed)
    return choices(model, tokenizer, side, seed, QUESTIONS[name])


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    print(json.dumps(main(*sys.argv[1].split("-"), int(sys.argv[2]))))
