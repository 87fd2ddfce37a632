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
from samosa.eval.turns import Ask, Kept, Plan, Turn
from samosa.model.engine import Engine, Finished, Request
from samosa.model.gpt import GPT

# Of max_tokens: a turn that ends for want of room with fewer tokens of the model's own is not the model's fault.
OWN_SHARE = 0.5
NEVER_ASKED = "never asked: the engine crashed before"


def run_suite(
    model: GPT,
    tokenizer: Tokenizer,
    probes: Sequence[Probe],
    settings: Gate,
    *,
    seed: int,
    samples: int = 0,
    temperature: float = 0.0,
    search_for: Callable[[Probe], Search] = ProbeSearch,
) -> list[Sample]:
    """Generate one turn for every probe, and `samples` more at `temperature`, and judge them; nothing is kept.

    The samples are in the probes' order. Raises as `ask` does.
    """
    plan = Plan("", "", probes, settings, seed, samples, temperature)
    turns: dict[int, Sequence[Turn]] = {}
    ask(model, tokenizer, plan, range(len(plan.batches)), turns.__setitem__, search_for=search_for)
    return judged(plan, turns, tokenizer)


def ask(
    model: GPT,
    tokenizer: Tokenizer,
    plan: Plan,
    batches: Sequence[int],
    keep: Callable[[int, list[Turn]], None],
    *,
    search_for: Callable[[Probe], Search] = ProbeSearch,
) -> None:
    """Generate the turns of these batches; `keep` gets each batch as it is done.

    What the harness fails at (a search that breaks, an engine that crashes) is a turn with an error; after a crash no
    further batch is asked. Raises BadInput where the turns that the settings allow do not fit the model.
    """
    longest = _longest(model, tokenizer, plan)
    progress = _Progress(sum(len(plan.batches[number]) for number in batches))
    for number in batches:
        turns = _batch(model, tokenizer, plan, plan.batches[number], longest, progress, search_for)
        keep(number, turns)
        if any(turn.crashed for turn in turns):
            return


def judged(plan: Plan, kept: Kept, tokenizer: Tokenizer) -> list[Sample]:
    """Every try of the plan, judged, in the plan's order; one that is not kept was not completed."""
    samples = []
    for number, batch in enumerate(plan.batches):
        turns = kept.get(number) or [Turn(one.probe.id, one.k, 0, error=NEVER_ASKED, crashed=True) for one in batch]
        samples += [_sample(one, turn, tokenizer, plan.gate) for one, turn in zip(batch, turns, strict=True)]
    return samples


def _longest(model: GPT, tokenizer: Tokenizer, plan: Plan) -> int:
    """Tokens that the longest conversation of the plan may take; the same for all its batches."""
    prompts = [len(render_prompt(probe.conversation, tokenizer)) for probe in plan.probes]
    longest = max(prompts, default=0) + plan.gate.max_tokens
    if longest > model.config.sequence_len:
        raise BadInput(
            f"gate.max_tokens = {plan.gate.max_tokens} and the longest prompt make {longest} tokens; "
            f"the model was made for {model.config.sequence_len}",
            hint=f"try --set gate.max_tokens={max(1, plan.gate.max_tokens - longest + model.config.sequence_len)}",
        )
    return longest


def _batch(
    model: GPT,
    tokenizer: Tokenizer,
    plan: Plan,
    asks: Sequence[Ask],
    longest: int,
    progress: "_Progress",
    search_for: Callable[[Probe], Search],
) -> list[Turn]:
    """One batch through an engine of its own: nothing that was asked before it can change what it says."""
    prompts = [render_prompt(one.probe.conversation, tokenizer) for one in asks]
    searches = [Watched(search_for(one.probe), one.probe) for one in asks]
    gate = plan.gate
    engine = Engine(model, tokenizer, toolbox=None, rows=gate.rows, max_length=longest, compiled=gate.compile)
    waiting = {}
    for index, (one, prompt, search) in enumerate(zip(asks, prompts, searches, strict=True)):
        waiting[engine.add(_request(one, prompt, search, plan))] = index

    turns: dict[int, Turn] = {}
    crash = None
    try:
        for finished in _until_empty(engine, len(asks), progress):
            index = waiting.pop(finished.id)
            turns[index] = _turn(asks[index], len(prompts[index]), finished, searches[index])
    except SamosaError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever broke the engine, the model is not to blame for it
        console.warn(traceback.format_exc().rstrip())
        crash = f"the engine crashed: {type(error).__name__}: {error}"
    for index in waiting.values():
        one = asks[index]
        turns[index] = Turn(one.probe.id, one.k, len(prompts[index]), error=crash, crashed=True)
    return [turns[index] for index in range(len(asks))]


def _request(one: Ask, prompt: list[int], search: Search, plan: Plan) -> Request:
    gate = plan.gate
    calls = gate.max_calls if one.probe.max_calls is None else one.probe.max_calls
    # A try's own seed: neither batch nor order changes what is sampled.
    own = f"{plan.seed}:{one.probe.id}" + (f":{one.k}" if one.k else "")
    return Request(
        ids=prompt,
        max_tokens=gate.max_tokens,
        temperature=plan.temperature if one.k else gate.temperature,
        top_k=gate.top_k or None,
        seed=int.from_bytes(hashlib.sha256(own.encode()).digest()[:6], "big"),
        # One call more than allowed: the engine must not keep a model from the mistake that the probe looks for.
        max_calls=calls + 1,
        call_budget=gate.call_budget,
        key=one.probe.id,
        toolbox=Toolbox(search),
    )


class _Progress:
    """A line that says how many tries are done, of all batches that this process asks."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.tokens, self.started = total, 0, 0, time.monotonic()

    def add(self, finished: Finished) -> None:
        self.done += 1
        self.tokens += len(finished.ids)

    def show(self) -> None:
        seconds = time.monotonic() - self.started
        rate = self.tokens / max(seconds, 1e-9)
        console.live_line(f"tries {self.done}/{self.total}   {rate:,.0f} tok/s   {seconds:.0f} s")


def _until_empty(engine: Engine, total: int, progress: _Progress) -> Iterator[Finished]:
    """Step the engine until all `total` requests are finished, with a progress line."""
    left = total
    while left:
        for finished in engine.step():
            left -= 1
            progress.add(finished)
            yield finished
        progress.show()


def _turn(one: Ask, prompt: int, finished: Finished, search: Watched) -> Turn:
    forced = tuple(int(flag) for flag in finished.forced)
    return Turn(one.probe.id, one.k, prompt, tuple(finished.ids), forced, finished.reason, error=search.broke)


def _sample(one: Ask, turn: Turn, tokenizer: Tokenizer, gate: Gate) -> Sample:
    error, judgement = turn.error or _cut_short(turn, tokenizer, gate), None
    if error is None:
        try:
            judgement = judge(one.probe, turn.ids, tokenizer, forced=turn.forced, max_calls=gate.max_calls)
        except Exception as broken:  # noqa: BLE001 - a bug of the judge, or of the calculator it asks
            console.warn(traceback.format_exc().rstrip())
            error = f"judging crashed: {type(broken).__name__}: {broken}"
    return Sample(
        probe=one.probe,
        k=one.k,
        prompt=turn.prompt,
        ids=turn.ids,
        forced=turn.forced,
        text=tokenizer.decode(list(turn.ids)),
        finish=turn.finish,
        judgement=judgement,
        error=error,
        crashed=turn.crashed,
    )


def _cut_short(turn: Turn, tokenizer: Tokenizer, gate: Gate) -> str | None:
    """Why the turn ended, where it was not the model that ended it or used up its tokens; else None."""
    if turn.finish in ("context", "cancelled"):
        return {"context": "the context ran out", "cancelled": "cancelled"}[turn.finish]
    own = len(turn.ids) - sum(turn.forced)
    awaits_result = turn.finish == "length" and turn.ids[-1] == tokenizer.special("python_end")
    if awaits_result and own < OWN_SHARE * gate.max_tokens:
        return f"a tool's result did not fit in gate.max_tokens = {gate.max_tokens}"
    return None
