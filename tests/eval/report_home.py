"""Runs and evaluations written to a home as training and judging write them, for the tests of the report."""

import json
import math

from samosa import home
from samosa.chat import grammar
from samosa.chat.conversation import Conversation
from samosa.chat.turns import Part, Turn
from samosa.eval import full_gate, record, tries
from samosa.eval.checks import Judgement, Sample
from samosa.eval.probe_types import Gold, Probe

CALL = '<|python_start|>{"tool":"calculator","arguments":{"expression":"6*7"}}<|python_end|>'
RESULT = '<|output_start|>{"output":42}<|output_end|>'
END = "<|assistant_end|>"


def sample(
    name,
    category="no_tool",
    *,
    passed=True,
    answer="It is 42.",
    think="So.",
    call=False,
    k=0,
    asked="What?",
    earlier=(),
):
    """A judged turn; `call`: with a calculation in it."""
    calls, results = (('{"tool":"calculator","arguments":{}}',), ("42",)) if call else ((), ())
    text = f"<think>{think}</think>{CALL + RESULT if call else ''}{answer}{END}"
    verdict = grammar.Verdict(None, think, calls, results, answer)
    probe = Probe(
        name,
        "calculator" if call else "no_tool",
        f"{category}/{name[:-1]}",
        _dialogue(*earlier, asked),
        Gold(tool=None),
        category=category,
    )
    judgement = Judgement(passed, None if passed else "not the right answer", verdict)
    ids = tuple(range(len(text) // 4))
    return Sample(probe, 20, ids, (0,) * len(ids), text, "end", judgement, k=k)


def _dialogue(*said):
    """What user and assistant say in turn."""
    roles = ("user", "assistant")
    return Conversation(
        tuple(Turn(roles[place % 2], (Part("text", text),)) for place, text in enumerate(said)), source="test"
    )


def _kept(tag, step, suite, seed, samples):
    path = record.write_samples(tag, f"{suite}-{seed}-chat-{step:06d}", samples)
    return {
        "ts": "2026-11-22T16:44:26+00:00",
        "tag": tag,
        "step": step,
        "kind": "chat",
        "weights_sha256": f"{tag}@{step}",
        "suite": suite,
        "suite_hash": f"{suite}{seed}",
        "seed": seed,
        "seconds": 6.5,
        **record.kept_at(path),
    }


def judged_jointly(tag, step, samples, *, seed=1, max_tokens=320):
    """A line of the joint suite; its patterns are the samples' categories."""
    patterns = {}
    for one in samples:
        count = patterns.setdefault(one.probe.category, {"n": 0, "completed": 0, "passed": 0, "errors": 0})
        count["n"] += 1
        count["completed"] += 1
        count["passed"] += int(one.judgement.passed)
    for count in patterns.values():
        count |= {"c": count["n"], "interval": [0.5, 0.99], "outcome": _outcome(count["passed"] == count["n"])}
    done = all(count["outcome"] == "passed" for count in patterns.values())
    line = _kept(tag, step, "joint", seed, samples) | {
        "settings": {"max_tokens": max_tokens, "temperature": 0.0},
        "patterns": patterns,
        "roadmap": {"roadmap-tip": "passed"},
        "outcome": _outcome(done),
        "exit_code": 0 if done else 10,
    }
    record.append(line)
    return line


def _outcome(passed):
    return "passed" if passed else "failed"


def judged_fully(tag, step, samples, settings, *, seed=1, champion=None):
    """A line of the full suite, decided by its own gate."""
    own = tries.of_samples(samples)
    others = None if champion is None else tries.of_samples(champion)
    result = full_gate.decide(own, settings, looks=1, champion=others)
    line = _kept(tag, step, "full", seed, samples) | {
        "settings": {"max_tokens": 320, "temperature": 0.0, "sampled_temperature": 0.8},
        "full": settings.model_dump(mode="json"),
        "champion": settings.champion,
        **full_gate.as_record(result),
    }
    record.append(line)
    return line


def checkpoint(tag, step, *, kind="chat", stage="sft", init=None):
    """What lies beside the weights; no weights."""
    directory = home.checkpoint_dir(kind, tag)
    directory.mkdir(parents=True, exist_ok=True)
    ref = home.CheckpointRef(kind, tag, step, directory)
    own = {"tag": tag, "stage": stage, "init": init, "steps": step, "tokens": 4096 * step}
    ref.model_path.touch()
    ref.meta_path.write_text(json.dumps({"step": step, "stage": stage, "val_bpb": 0.5, "samosa": own}))
    ref.manifest_path.write_text(json.dumps({"files": {ref.model_path.name: {"sha256": f"{tag:a<64}"}}}))
    return ref


def trained(tag, steps, *, kind="chat", init=None, dollars=None, validated=True):
    """A run's folder, with a step's line each second."""
    folder = home.run_dir(tag)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for step in range(1, steps + 1):
        price = {} if dollars is None else {"dollars": round(dollars * step / steps, 4)}
        line = {"kind": "step", "step": step, "loss": 3 * math.exp(-step / steps), "grad_norm": 1 / step}
        lines.append(line | {"lr_matrix": 0.02, "tokens": 4096 * step, "seconds": 1.0, "tok_per_s": 4096} | price)
        if validated and step % 10 == 0:
            lines.append({"kind": "val", "step": step, "val_bpb": 2 / step})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = {"tag": tag, "kind": kind, "init": init, "fingerprint": f"{tag}-print", "command": ["sft", "--tag", tag]}
    run |= {"started": "2026-11-22T16:36:45Z", "host": "box", "speed_key": {"nproc": 2, "gpus": []}}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "recipe.toml").write_text(f'tag = "{tag}"\n')
