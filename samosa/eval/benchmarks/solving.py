"""GSM8K solved as a chat turn: with the calculator or without any tool, greedily, and sampled for a majority vote."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from samosa.chat import grammar
from samosa.chat.conversation import Conversation, Part, Turn
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM
from samosa.chat.render import render_prompt
from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import Toolbox
from samosa.errors import BadInput, SamosaError
from samosa.eval.benchmarks import gsm8k
from samosa.eval.benchmarks.gsm8k import Problem
from samosa.eval.benchmarks.kept import Line, sample, tried
from samosa.eval.benchmarks.settings import Gsm8k, System, Tools
from samosa.eval.settings import Gate
from samosa.model.engine import Engine, Finished, Request
from samosa.model.gpt import GPT

SYSTEMS: dict[System, str] = {"default": DEFAULT_SYSTEM, "think": THINK_SYSTEM}


class Broken(SamosaError):
    """The engine, not the model, failed at a turn: there is no result."""

    exit_code = 30


def of_problems(
    problems: Sequence[Problem],
    tools: Tools,
    model: GPT,
    tokenizer: Tokenizer,
    settings: Gsm8k,
    gate: Gate,
    *,
    seed: int,
    progress: Callable[[int], None],
) -> Callable[[range], Iterator[Line]]:
    """What makes the samples of word problems, for kept.all_lines. A chunk has an engine of its own; `progress` is told
    the tokens of each turn.

    Raises BadInput where a prompt and the turn that is allowed do not fit the model.
    """
    prompts = [_prompt(one, settings.system[tools], tokenizer) for one in problems]
    longest = max(map(len, prompts)) + settings.max_tokens
    if longest > model.config.sequence_len:
        room = settings.max_tokens - longest + model.config.sequence_len
        raise BadInput(
            f"gsm8k.max_tokens = {settings.max_tokens} and the longest problem make {longest} tokens; "
            f"the model was made for {model.config.sequence_len}",
            hint=f"--set gsm8k.max_tokens={room}" if room > 0 else "this benchmark needs a model of longer rows",
        )

    def lines(places: range) -> Iterator[Line]:
        toolbox = Toolbox(None) if tools == "on" else None
        engine = Engine(model, tokenizer, toolbox=toolbox, rows=gate.rows, max_length=longest, compiled=gate.compile)
        asked = [(place, vote) for place in places for vote in range(settings.votes + 1)]
        requests = [_request(problems[place], prompts[place], vote, settings, gate, seed) for place, vote in asked]
        by_place: dict[int, list[Finished]] = {place: [] for place in places}
        for (place, _), turn in zip(asked, _turns(engine, requests, progress), strict=True):
            by_place[place].append(turn)
        for place, (greedy, *sampled) in by_place.items():
            yield _line(place, problems[place], greedy, sampled, tokenizer, settings)

    return lines


def _turns(engine: Engine, requests: Sequence[Request], progress: Callable[[int], None]) -> list[Finished]:
    """The turns, in the order of the requests; `progress` is told the tokens of each as it ends."""
    places = {engine.add(request): place for place, request in enumerate(requests)}
    turns: dict[int, Finished] = {}
    while len(turns) < len(requests):
        for finished in engine.step():
            turns[places[finished.id]] = finished
            progress(len(finished.ids))
    return [turns[place] for place in range(len(requests))]


def _prompt(problem: Problem, system: System, tokenizer: Tokenizer) -> list[int]:
    turns = [Turn("system", (Part("text", SYSTEMS[system]),))] if system in SYSTEMS else []
    turns.append(Turn("user", (Part("text", problem.text),)))
    return render_prompt(Conversation(tuple(turns), problem.id), tokenizer)


def _request(problem: Problem, prompt: list[int], vote: int, settings: Gsm8k, gate: Gate, seed: int) -> Request:
    own = hashlib.sha256(f"{seed}:{problem.id}:{vote}".encode()).digest()
    return Request(
        ids=prompt,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature if vote else 0.0,
        top_k=gate.top_k or None,
        seed=int.from_bytes(own[:6], "big"),
        max_calls=settings.max_calls,
        call_budget=gate.call_budget,
    )


def read_answer(turn: Finished, tokenizer: Tokenizer) -> tuple[str, bool]:
    """The answer span of a turn, which is what it says behind thinking, calls and results, and whether it came to its
    end. Thinking that is not closed has no answer behind it; what stands before a lone </think> is thinking.

    Raises Broken where it was not the model that ended the turn.
    """
    if turn.reason not in ("end", "length"):
        hint = "run it again; it goes on where it stopped"
        raise Broken(f"the engine ended a turn by itself: {turn.reason}", hint=hint)
    said: list[str] = []
    thinking = False
    for event in grammar.events_from_ids(turn.ids, tokenizer):
        match event.kind:
            case "think_open" | "think_close" | "call" | "result":
                said, thinking = [], event.kind == "think_open"
            case "text" if not thinking:
                said.append(event.text)
    return "".join(said).strip(), turn.reason == "end"


def _line(
    place: int, problem: Problem, turn: Finished, sampled: Sequence[Finished], tokenizer: Tokenizer, settings: Gsm8k
) -> Line:
    answer, ended = read_answer(turn, tokenizer)
    found = {"strict": gsm8k.strict(answer), "flexible": gsm8k.flexible(answer, ended=ended)}
    if sampled:
        read = [read_answer(one, tokenizer) for one in sampled]
        votes = [gsm8k.flexible(text, ended=whole) for text, whole in read]
        found[f"maj@{len(sampled)}"] = gsm8k.majority(votes)
    right = {name: float(value == problem.gold) for name, value in found.items()}
    said: list[Any] = [tokenizer.decode(one.ids) for one in (turn, *sampled)]
    value = gsm8k.shown(found[settings.counts])
    return sample(
        doc_id=place,
        doc=problem.doc,
        target=str(problem.doc["answer"]),
        arguments=gsm8k.arguments(problem.text, do_sample=False, max_gen_toks=settings.max_tokens),
        whole=problem.text,
        resps=[said],
        filtered=[gsm8k.shown(one) for one in found.values()],
        scores=right,
        ids=turn.ids,
        forced=[int(flag) for flag in turn.forced],
        finish=turn.reason,
        answer=answer,
        **tried(
            problem.id,
            category="gsm8k",
            prompt=problem.text,
            text=said[0],
            passed=bool(right[settings.counts]),
            reason=f"the answer is {gsm8k.shown(problem.gold)}, not {value}" if value else "no answer can be read",
        ),
    )
