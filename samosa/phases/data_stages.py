"""The stages that make training data: gen-data, filter, fence and mix. CPU only; all travels as JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from samosa import home
from samosa.chat.conversation import Conversation
from samosa.data import fence, generate, mix, sifting
from samosa.data.filter import Rule, RuleSet, load_rules
from samosa.data.filter.rules import ENGINE
from samosa.data.lines import line_writer
from samosa.data.sidecars import place_of
from samosa.errors import BadInput
from samosa.eval import probes
from samosa.eval.settings import Gate
from samosa.eval.suite.types import VERSION as FULL
from samosa.phases import denying, fencing, mixing, premixed
from samosa.phases.doctor import Check, check_sources, source_path
from samosa.phases.mixing import TRAINING, VALIDATION
from samosa.phases.settings import Fence, Filter, Gen, Mix, MixSource
from samosa.phases.sizes import cpu_size
from samosa.phases.stage import ABSENT, Done, Facts, Named, Stage, Work

STRUCTURE = "joint"
"""The rule set with every rule that a phase may name."""


def gen_stage(gen: Gen, *, prefix: str = "") -> Stage:
    """gen-data: conversations of every kind the recipe asks for, one JSONL file a kind."""
    kinds = ", ".join(f"{rows:,} {kind}" for kind, rows in gen.rows.items())
    what = f"{sum(gen.rows.values()):,} conversations: {kinds}"

    def run(work: Work) -> Facts:
        made = {kind: write_lines(work.out / f"{kind}.jsonl", generated(gen, kind, n)) for kind, n in gen.rows.items()}
        short = [f"{kind} {made[kind]:,} of {n:,}" for kind, n in gen.rows.items() if made[kind] < n]
        told = f" (all there are: {', '.join(short)})" if short else ""
        return {"said": f"{sum(made.values()):,} conversations{told}", "rows": made}

    return Stage(
        f"{prefix}gen-data",
        what,
        run,
        settings=gen.model_dump(),
        version=generate.VERSION,
        size=lambda ctx: cpu_size("gen-data", what, ctx),
    )


def generated(gen: Gen, kind: str, rows: int, *, seed: int | None = None) -> Iterator[dict[str, Any]]:
    """Conversations of one kind from the offline teacher. Raises BadInput for an unknown kind."""
    return generate.generate(
        kind,
        rows=rows,
        seed=gen.seed if seed is None else seed,
        real_share=gen.real_share,
        failed_search_share=gen.failed_search_share,
        think_share=gen.think_share,
        follow_up_share=gen.follow_up_share,
    )


def filter_stage(settings: Filter, raw: Stage, gen: Gen, *, prefix: str = "") -> Stage:
    """filter: the generated rows that pass every rule; the others stand beside them with all their reasons."""
    rules = {kind: rules_for(settings, kind) for kind in gen.rows}
    distinct = {rule.name for chosen in rules.values() for rule in chosen.rules}
    what = f"{len(distinct)} rules on {sum(gen.rows.values()):,} conversations"

    def run(work: Work) -> Facts:
        kept, rejected, reasons = {}, 0, {}
        for kind, chosen in rules.items():
            place = place_of(work.made["raw"].directory / f"{kind}.jsonl", work.out)
            sifted = sifting.sift_one(place, rules=chosen)
            if sifted.first_broken is not None:
                raise BadInput(sifted.first_broken, hint="mend or delete that line")
            kept[kind], rejected = sifted.totals.kept, rejected + sifted.totals.rejected
            if sifted.totals.rejected:
                reasons[kind] = sifted.reasons
        if empty := [kind for kind, count in kept.items() if count == 0]:
            raise BadInput(f"every {empty[0]} row was rejected", hint=f"reasons: {reasons[empty[0]]}")
        said = f"{sum(kept.values()):,} kept, {rejected:,} rejected" + (f" {reasons}" if reasons else "")
        return {"said": said, "kept": kept, "rejected": rejected, "reasons": reasons}

    return Stage(
        f"{prefix}filter",
        what,
        run,
        inputs={"raw": raw},
        settings={"rules": {kind: [_versioned(rule) for rule in chosen.rules] for kind, chosen in rules.items()}},
        version=ENGINE,
        size=lambda ctx: cpu_size("filter", what, ctx),
    )


def rules_for(settings: Filter, kind: str) -> RuleSet:
    """The rules that rows of one kind must pass. Raises BadInput for a name that is no rule."""
    there = load_rules(STRUCTURE)
    names = [*settings.common, *settings.extra.get(kind, [])]
    return replace(there, name=kind, rules=tuple(there.rule(name) for name in names))


def _versioned(rule: Rule) -> str:
    """A rule's name, and its version once it is not the first."""
    return rule.name if rule.version == 1 else f"{rule.name}@{rule.version}"


def fence_stage(settings: Fence, mixed: Mix, clean: Stage | None, *, prefix: str = "") -> Stage:
    """fence: every source of the mix without the rows that copy a probe or benchmark, which stand beside them.

    A source that loses no row is not copied. Of a mix made before, copies are only told.
    """
    sources = mixing.here(mixed.sources) if mixed.made is None else []
    files = {s.name: _file(s, sources) for s in mixed.sources if s.path is not None and mixed.made is None}
    if mixed.made is not None:
        files[TRAINING] = premixed.folder_of(mixed.made) / TRAINING
    files |= {name: path for path in denying.files_of(settings) if (name := f"against {path.name}")}
    what = f"{len(sources) or 1} sources against {', '.join(settings.against)}"

    def run(work: Work) -> Facts:
        paths = {source.name: _unfenced(source, work) for source in sources}
        if mixed.made is not None:
            paths = {TRAINING: premixed.folder_of(mixed.made) / TRAINING}
        return fencing.fence_sources(settings, paths, work.out, stays=mixed.made is not None)

    return Stage(
        f"{prefix}fence",
        what,
        run,
        inputs=files | ({"clean": clean} if clean else {}),
        settings={**settings.model_dump(), "sources": [source.name for source in sources]},
        version=f"{fence.VERSION} {probes.VERSION} {FULL} {generate.VERSION}",
        size=lambda ctx: cpu_size("fence", what, ctx),
    )


def mix_stage(
    settings: Mix, clean: Stage | None, *, fenced: Stage, gate: Gate | None = None, prefix: str = ""
) -> Stage:
    """mix: every source as often as the recipe says, in the order that the seed says, validation rows held out first.

    Rows are those that `fenced` left. With a `gate`, its probes are kept out: a training row that asks one of them in
    the same words is an error.
    """
    if settings.made is not None:
        return _made_stage(settings.made, fenced, gate, prefix)
    sources = mixing.here(settings.sources)
    files: dict[str, Stage | Path | Named] = {s.name: _file(s, sources) for s in settings.sources if s.path is not None}
    what = f"{len(sources)} sources: {', '.join(map(mixing.amount, sources))}"

    def run(work: Work) -> Facts:
        paths = {source.name: _rows_of(source, work) for source in sources}
        with mixing.decided(settings, paths, scratch=work.out / "parts") as mixed:
            refuse_overlap(mixed.distinct(), gate)
            files = mixed.write(work.out / TRAINING, work.out / VALIDATION)
        return {"said": mixing.said(files, mixed.shares), "shares": [asdict(share) for share in mixed.shares]}

    return Stage(
        f"{prefix}mix",
        what,
        run,
        inputs=files | {"fenced": fenced} | ({"clean": clean} if clean else {}),
        settings={
            "seed": settings.seed,
            "validation": settings.validation,
            **_total(settings),
            "sources": [_takes(s) for s in settings.sources],
        },
        version=mix.VERSION,
        size=lambda ctx: cpu_size("mix", what, ctx),
    )


def _made_stage(made: str, fenced: Stage, gate: Gate | None, prefix: str) -> Stage:
    """mix: what `samosa mix` wrote."""
    what = f"the mix in {made}"

    def run(work: Work) -> Facts:
        facts = premixed.take(made, work.out)
        refuse_overlap(mix.read_rows(work.out / TRAINING), gate)
        return facts

    return Stage(
        f"{prefix}mix",
        what,
        run,
        inputs={"fenced": fenced, **{name: premixed.folder_of(made) / name for name in (TRAINING, VALIDATION)}},
        settings={"made": True},
        version=mix.VERSION,
        size=lambda ctx: cpu_size("mix", what, ctx),
    )


def check_mix(settings: Mix) -> list[Check]:
    """What a mix needs on this machine: the files of its sources, or a mix made before."""
    return check_sources(settings.sources) if settings.made is None else [premixed.check(settings.made)]


def check_names(settings: Mix, gen: Gen) -> None:
    """Raise BadInput for kinds nobody can generate, sources that come from nowhere and names used twice."""
    for kind in gen.rows:
        if kind not in generate.kinds():
            raise BadInput(f"gen.rows: there is no kind {kind}", hint=f"kinds: {', '.join(generate.kinds())}")
    for source in settings.sources:
        if source.path is None and source.name not in gen.rows:
            raise BadInput(
                f"mix.sources: {source.name} has no path and gen.rows makes none",
                hint=f"give it a path, or gen.rows: {', '.join(gen.rows)}",
            )
    mixing.check_distinct(settings)


def refuse_overlap(rows: Iterable[Conversation], gate: Gate | None) -> None:
    """Raise BadInput when a training row asks what a probe of the gate asks."""
    if gate is None:
        return
    from samosa.eval.probes import joint_suite, question_of

    suite = joint_suite(seed=gate.seed, per_pattern=gate.n)
    found = fence.overlaps(rows, {probe.id: question_of(probe) for probe in suite})
    if found:
        first = found[0]
        raise BadInput(
            f"{len(found)} training rows ask what a probe asks, first in {first.source}: {first.question!r}",
            hint=f"take these rows out of {first.source}; a probe that was trained on measures memory",
        )


def read_mix(done: Done, name: str) -> list[Conversation]:
    """The conversations of a mix stage's output, in order."""
    return list(mix.read_rows(done.directory / name))


def write_lines(path: Path, rows: Iterator[Mapping[str, Any]]) -> int:
    """Write rows as JSONL, compressed where the name ends in .zst, whole or not at all; returns how many."""
    count = 0
    with home.atomic_path(path) as temp, line_writer(temp) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def estimated_tokens(settings: Mix, gen: Gen) -> int:
    """About how many tokens an epoch of the mix has, by the recipe's rows and tokens a row or a mix made before."""
    if settings.made is not None:
        return premixed.tokens_of(settings.made)
    rows = mixing.expected_rows(settings, {s.name: s.about_rows or gen.rows[s.name] for s in settings.sources})
    return sum(rows[source.name] * source.about_tokens for source in settings.sources)


def _rows_of(source: MixSource, work: Work) -> Path:
    """The rows that the fence left of a source; its own file where it left all."""
    fenced = work.made["fenced"]
    kept = fenced.facts["kept"].get(source.name)
    return _unfenced(source, work) if kept is None else fenced.directory / kept


def _unfenced(source: MixSource, work: Work) -> Path:
    if source.path is None:
        return work.made["clean"].directory / f"{source.name}.jsonl"
    return source_path(source)


def _file(source: MixSource, sources: list[MixSource]) -> Path | Named:
    return source_path(source) if source in sources else Named(source.name, ABSENT)


def _total(settings: Mix) -> dict[str, int]:
    return {} if settings.total is None else {"total": settings.total}


def _takes(source: MixSource) -> dict[str, Any]:
    """What of a source decides the mix: where its file lies does not."""
    repeat = 1 if source.repeat is None else source.repeat
    taken = {"name": source.name, "repeat": int(repeat) if repeat % 1 == 0 else repeat, "rows": source.rows}
    weight = {} if source.weight is None else {"weight": source.weight}
    return {**taken, **weight, "generated": source.path is None}
