"""Ask a model every probe of a suite, each with tools of its own, and judge what it generates."""

import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from samosa import console
from samosa.chat.render import render_prompt
from samosa.chat.search import Search
from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import Toolbox
from samosa.errors import BadInput, SamosaError
from samosa.eval.checks import Sample, judge
from samosa.eval.fixture import ProbeSearch, Watched
from samosa.eval.probe_types import Probe
from samosa.eval.settings import Gate
from samosa.model.engine import Engine, Finished, Request
from samosa.model.gpt import GPT

# Of max_tokens: a turn that ends for want of room with fewer tokens of the model's own is not the model's fault.
OWN_SHARE = 0.5


def run_suite(
    model: GPT,
    tokenizer: Tokenizer,
    probes: Sequence[Probe],
    settings: Gate,
    *,
    seed: int,
    search_for: Callable[[Probe], Search] = ProbeSearch,
) -> list[Sample]:
    """Generate one turn for every probe and judge it; the samples are in the probes' order.

    What the harness fails at (a search that breaks, a context that runs out, an engine that crashes) leaves its samples
    without a judgement. Raises BadInput where the turns that the settings allow do not fit the model.
    """
    prompts = [render_prompt(probe.conversation, tokenizer) for probe in probes]
    searches = [Watched(search_for(probe), probe) for probe in probes]
    longest = max(map(len, prompts), default=0) + settings.max_tokens
    if longest > model.config.sequence_len:
        raise BadInput(
            f"gate.max_tokens = {settings.max_tokens} and the longest prompt make {longest} tokens; "
            f"the model was made for {model.config.sequence_len}",
            hint=f"try --set gate.max_tokens={max(1, settings.max_tokens - longest + model.config.sequence_len)}",
        )
    engine = Engine(model, tokenizer, toolbox=None, rows=settings.rows, max_length=longest)
    waiting = {}
    for index, (probe, prompt, search) in enumerate(zip(probes, prompts, searches, strict=True)):
        waiting[engine.add(_request(probe, prompt, search, settings, seed=seed))] = index

    samples: list[Sample | None] = [None] * len(probes)
    crash = None
    try:
        for finished in _until_empty(engine, len(probes), dict(waiting)):
            index = waiting.pop(finished.id)
            probe, prompt, search = probes[index], prompts[index], searches[index]
            samples[index] = _sample(probe, len(prompt), finished, search, tokenizer, settings)
    except SamosaError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever broke the engine, the model is not to blame for it
        console.warn(traceback.format_exc().rstrip())
        crash = f"the engine crashed: {type(error).__name__}: {error}"
    for index in waiting.values():
        samples[index] = _unfinished(probes[index], len(prompts[index]), crash or "never finished")
    return [sample for sample in samples if sample is not None]


def _request(probe: Probe, prompt: list[int], search: Search, settings: Gate, *, seed: int) -> Request:
    own = hashlib.sha256(f"{seed}:{probe.id}".encode()).digest()
    return Request(
        ids=prompt,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k or None,
        seed=int.from_bytes(own[:6], "big"),  # the probe's own: neither batch nor order changes what is sampled
        # One call more than allowed: the engine must not keep a model from the mistake that the probe looks for.
        max_calls=settings.max_calls + 1,
        call_budget=settings.call_budget,
        key=probe.id,
        toolbox=Toolbox(search),
    )


def _until_empty(engine: Engine, total: int, waiting: dict[int, int]) -> Iterator[Finished]:
    """Step the engine until every request is finished, with a progress line."""
    started, tokens = time.monotonic(), 0
    while waiting:
        for finished in engine.step():
            del waiting[finished.id]
            tokens += len(finished.ids)
            yield finished
        seconds = time.monotonic() - started
        console.live_line(
            f"probes {total - len(waiting)}/{total}   {tokens / max(seconds, 1e-9):,.0f} tok/s   {seconds:.0f} s"
        )


def _sample(
    probe: Probe, prompt: int, finished: Finished, search: Watched, tokenizer: Tokenizer, settings: Gate
) -> Sample:
    error, judgement = search.broke or _cut_short(finished, tokenizer, settings), None
    if error is None:
        try:
            judgement = judge(probe, finished.ids, tokenizer, forced=finished.forced, max_calls=settings.max_calls)
        except Exception as broken:  # noqa: BLE001 - a bug of the judge, or of the calculator it asks
            console.warn(traceback.format_exc().rstrip())
            error = f"judging crashed: {type(broken).__name__}: {broken}"
    return Sample(
        probe=probe,
        prompt=prompt,
        ids=tuple(finished.ids),
        forced=tuple(int(flag) for flag in finished.forced),
        text=tokenizer.decode(list(finished.ids)),
        finish=finished.reason,
        judgement=judgement,
        error=error,
    )


def _cut_short(finished: Finished, tokenizer: Tokenizer, settings: Gate) -> str | None:
    """Why the turn ended, where it was not the model that ended it or used up its tokens; else None."""
    if finished.reason in ("context", "cancelled"):
        return {"context": "the context ran out", "cancelled": "cancelled"}[finished.reason]
    own = len(finished.ids) - sum(finished.forced)
    awaits_result = finished.reason == "length" and finished.ids[-1] == tokenizer.special("python_end")
    if awaits_result and own < OWN_SHARE * settings.max_tokens:
        return f"a tool's result did not fit in gate.max_tokens = {settings.max_tokens}"
    return None


def _unfinished(probe: Probe, prompt: int, error: str) -> Sample:
    return Sample(
        probe=probe, prompt=prompt, ids=(), forced=(), text="", finish="", judgement=None, error=error, crashed=True
    )
