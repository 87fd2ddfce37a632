"""`samosa pull`: data of the registry's sources and checkpoints of its tags, from the Hub onto this machine."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from samosa import console, home
from samosa.chat.tokenizer import FILE_NAME, Tokenizer, load_tokenizer
from samosa.config import Options
from samosa.data.sources import pull, remote
from samosa.data.sources.pull import Job
from samosa.data.sources.registry import Source, known_sources
from samosa.errors import BadInput, NotReady
from samosa.home import NAME, CheckpointRef
from samosa.phases.settings import KnownCheckpoint, known_checkpoints

Namespace = Literal["source", "tag"]
COLUMNS = ("source", "phase", "rows", "tokens", "download", "on disk", "at most", "licence")


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    names: Sequence[str] = ()
    namespace: Namespace | None = None
    phase: str | None = None
    rows: int | None = None
    seed: int | None = None
    out: Path | None = None
    optimizer: bool = False


@dataclass(frozen=True)
class Chosen:
    """One thing to pull, and what it stands in for."""

    name: str
    source: Source | None = None
    checkpoint: KnownCheckpoint | None = None
    instead_of: str | None = None


def run(options: Options, asked: Asked) -> int:
    """Pull what is named, or all of a phase, or show what that would be; returns the exit code.

    Raises BadInput for a name that nobody knows or both registries do, NotReady for what cannot be pulled here, before
    anything is fetched.
    """
    chosen = _chosen(asked, plan=options.plan)
    _check_flags(asked, chosen)
    if options.plan:
        return _plan(options, asked, chosen)
    for what in chosen:
        _check_access(what, asked)
    tokenizer = _tokenizer()
    done = []
    for what in chosen:
        if what.instead_of is not None:
            console.say(f"{what.instead_of} cannot be pulled; {what.name} stands in for it")
        done.append(_pull_source(what, asked, tokenizer) if what.source else _pull_checkpoint(what, asked))
    if options.json:
        console.emit_json({"pulled": done})
    console.say(f"next: {done[-1]['next']}")
    return 0


# ---- which


def _chosen(asked: Asked, *, plan: bool) -> list[Chosen]:
    sources = known_sources()
    if asked.names:
        return [_named(name, asked.namespace) for name in dict.fromkeys(asked.names)]
    if asked.phase is None and not plan:
        raise BadInput("pull needs a name, or a phase", hint="samosa pull --plan lists all there is")
    stand_ins = {source.substitute for source in sources.values()}
    wanted = {name: source for name, source in sources.items() if asked.phase in (None, source.phase)}
    if not wanted:
        phases = ", ".join(sorted({source.phase for source in sources.values()}))
        raise BadInput(f"no source belongs to phase {asked.phase}", hint=f"phases that have some: {phases}")
    chosen = []
    for name, source in wanted.items():
        if source.needs and source.substitute:
            chosen.append(Chosen(source.substitute, sources[source.substitute], instead_of=name))
        elif name not in stand_ins:
            chosen.append(Chosen(name, source))
    return chosen


def _named(name: str, namespace: Namespace | None) -> Chosen:
    """What a name means: a source, or else a tag. Raises BadInput for both and for neither."""
    sources, tags = known_sources(), known_checkpoints()
    source = sources.get(name) if namespace != "tag" else None
    checkpoint = _checkpoint(name, tags) if namespace != "source" else None
    if source is not None and checkpoint is not None:
        raise BadInput(
            f"{name} is a source and a tag", hint=f"samosa pull {name} --source, or samosa pull {name} --tag"
        )
    if source is None and checkpoint is None:
        known = {"source": list(sources), "tag": list(tags), None: [*sources, *tags]}[namespace]
        by_repo = [key for key, entry in sources.items() if entry.repo.lower() == name.lower()]
        close = by_repo or difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"have: {', '.join(known)}"
        raise BadInput(f"no {namespace or 'source or tag'} is called {name}", hint=hint)
    return Chosen(name, source, checkpoint)


def _checkpoint(name: str, tags: dict[str, KnownCheckpoint]) -> KnownCheckpoint | None:
    """The checkpoint that `tag`, `tag@step` or `kind/tag` names, where there is one."""
    match = NAME.fullmatch(name)
    known = tags.get(match["tag"]) if match else None
    if match is None or known is None:
        return None
    fits = match["kind"] in (None, known.kind) and match["step"] in (None, str(known.step))
    return known if fits else None


def _check_flags(asked: Asked, chosen: Sequence[Chosen]) -> None:
    tags = [what.name for what in chosen if what.checkpoint]
    sources = [what.name for what in chosen if what.source]
    if tags and (asked.rows is not None or asked.seed is not None):
        raise BadInput(f"{tags[0]} is a checkpoint and is pulled whole", hint="--rows and --seed are for sources")
    if asked.optimizer and sources:
        raise BadInput(f"{sources[0]} is data and has no optimizer", hint="--optimizer is for checkpoints")
    if asked.out is not None and (tags or len(chosen) > 1):
        why = f"{tags[0]} belongs in $SAMOSA_HOME" if tags else "--out names the folder of one source"
        raise BadInput(why, hint="pull one source at a time with --out, or leave it out")
    if asked.out is not None and asked.out.exists() and not asked.out.is_dir():
        raise BadInput(f"--out {asked.out} is a file", hint="name a folder, new or old")


def _check_access(what: Chosen, asked: Asked) -> None:
    source = what.source
    if source is None:
        return
    if source.needs is not None:
        raise NotReady(f"{what.name} cannot be pulled: {source.needs}", hint=f"samosa pull {source.substitute}")
    if source.gated and not remote.token():
        raise NotReady(
            f"{what.name} is gated: {source.repo} asks who you are, and to accept its terms",
            hint=f"accept them at {_repo(what, asked).url}, put HF_TOKEN=hf_... in ~/.api_keys, then samosa pull "
            f"{what.name}; or take samosa pull {source.substitute}",
        )


def _repo(what: Chosen, asked: Asked) -> remote.Repo:
    return _job(what, asked).repo


# ---- doing it


def _job(what: Chosen, asked: Asked) -> Job:
    assert what.source is not None
    changes: dict[str, Any] = {}
    again = f"samosa pull {what.name}"
    if asked.rows is not None:
        changes |= {"rows": asked.rows, "tokens": None}
        again += f" --rows {asked.rows}"
    if asked.seed is not None:
        changes["seed"] = asked.seed
        again += f" --seed {asked.seed}"
    if asked.out is not None:
        again += f" --out {shlex.quote(str(asked.out))}"
    out = asked.out or home.root() / "data" / what.name
    return Job(what.name, what.source.model_copy(update=changes), out, again)


def _pull_source(what: Chosen, asked: Asked, tokenizer: Tokenizer | None) -> dict[str, Any]:
    job = _job(what, asked)
    there = pull.pulled(job) is not None
    manifest = pull.pull(job, tokenizer=tokenizer)
    rows, seen, tokens = manifest["rows"], manifest["rows_seen"], _count(manifest["tokens"])
    console.say(
        f"✓ {what.name}: {rows:,} of {seen:,} rows, {tokens} tokens ({manifest['tokens_basis']}), "
        f"{_bytes(manifest['bytes'])} in {job.out}{', pulled before' if there else ''}"
    )
    if manifest["dropped"]:
        reasons = ", ".join(f"{why} {count:,}" for why, count in manifest["dropped"].items())
        console.say(f"  not taken: {reasons}")
    files = [str(job.out / file["path"]) for file in manifest["files"]]
    return {"name": what.name, "out": str(job.out), **manifest, "next": _next(what, job, files)}


def _next(what: Chosen, job: Job, files: Sequence[str]) -> str:
    assert what.source is not None
    first = shlex.quote(files[0])
    match what.source.kind, what.source.phase:
        case "text", _:
            return f"samosa tokenize {first if len(files) == 1 else shlex.quote(str(job.out)) + '/*.parquet'}"
        case "pairs", _:
            return f"samosa dedup {first}"
        case _, "b":
            return f"samosa filter {first} --rules reasoning"
        case _:
            return f"samosa filter {first}"


def _pull_checkpoint(what: Chosen, asked: Asked) -> dict[str, Any]:
    from samosa.hub.fetch import Wanted, fetch_checkpoint

    known = what.checkpoint
    assert known is not None
    tag = known.path.rsplit("/", 1)[-1]
    ref = CheckpointRef(known.kind, tag, known.step, home.checkpoint_dir(known.kind, tag))
    again = f"samosa pull {what.name}{' --optimizer' if asked.optimizer else ''}"
    record = fetch_checkpoint(Wanted(ref, known.repo, known.path, again, asked.optimizer))
    size = sum(file["bytes"] for file in record["files"])
    console.say(f"✓ {ref.name}: {_bytes(size)} in {ref.directory}, from {known.repo}@{record['commit'][:7]}")
    following = f"samosa chat --tag {ref.name}" if known.kind == "chat" else f"samosa inspect {ref.name}"
    return {"name": what.name, "out": str(ref.directory), **record, "next": following}


def _tokenizer() -> Tokenizer | None:
    there = (home.tokenizer_dir() / FILE_NAME).is_file()
    return load_tokenizer(home.tokenizer_dir()) if there else None


# ---- the plan


def _plan(options: Options, asked: Asked, chosen: Sequence[Chosen]) -> int:
    entries = [_entry(what, asked) for what in chosen]
    console.table(COLUMNS, [_line(entry) for entry in entries])
    for entry in entries:
        if entry["note"]:
            console.say(f"{entry['name']}: {entry['note']}")
    sources = [entry for entry in entries if entry["rows"] is not None and entry.get("needs") is None]
    total = {key: sum(entry[key] for entry in sources) for key in ("rows", "tokens", "download_bytes", "bytes")}
    at_most = total["bytes"] + max((entry["peak_bytes"] - entry["bytes"] for entry in sources), default=0)
    free = home.free_space(asked.out or home.root())
    console.say(
        f"in all {_count(total['rows'])} rows, {_count(total['tokens'])} tokens, {_bytes(total['download_bytes'])} to "
        f"download, {_bytes(total['bytes'])} on disk and {_bytes(at_most)} at most while it runs; {_bytes(free)} free"
    )
    console.say("figures are estimates (-v: their basis), samples are uniform; what was pulled has its own")
    if options.verbose:
        console.table(("source", "basis"), [(entry["name"], entry["basis"]) for entry in entries if entry["basis"]])
    if free < at_most:
        console.warn(f"it does not fit: {_bytes(at_most - free)} are missing under {asked.out or home.root()}")
    if options.json:
        console.emit_json({"sources": entries, **total, "peak_bytes": at_most, "free_bytes": free})
    names = " ".join(asked.names) or (f"--phase {asked.phase}" if asked.phase else "NAME")
    console.say(f"next: samosa pull {names}")
    return 0


def _entry(what: Chosen, asked: Asked) -> dict[str, Any]:
    """One line of the plan; figures are those of the manifest where it was pulled already."""
    if what.source is None:
        known = what.checkpoint
        assert known is not None
        nothing = dict.fromkeys(
            ("phase", "rows", "tokens", "download_bytes", "bytes", "peak_bytes", "license", "basis")
        )
        return {
            "name": what.name,
            "repo": known.repo,
            **nothing,
            "note": f"a checkpoint, its size is known when it is pulled: {known.about}",
        }
    job = _job(what, asked)
    source = job.source
    largest = source.upstream.bytes // 10  # sources come in ten files and more, or are small
    manifest = None if source.needs else pull.pulled(job)
    return {
        "name": what.name,
        "repo": source.repo,
        "config": source.config,
        "split": source.split,
        "phase": source.phase,
        "rows": manifest["rows"] if manifest else source.expected_rows,
        "tokens": manifest["tokens"] if manifest else source.expected_tokens,
        "download_bytes": 0 if manifest else source.upstream.bytes,
        "bytes": manifest["bytes"] if manifest else pull.kept_bytes(source),
        "peak_bytes": manifest["bytes"] if manifest else pull.disk_bytes(source, largest),
        "license": source.license,
        "gated": source.gated,
        "needs": source.needs,
        "substitute": source.substitute,
        "instead_of": what.instead_of,
        "pulled": manifest is not None,
        "basis": manifest["tokens_basis"] if manifest else source.upstream.basis,
        "note": _note(what, pulled=manifest is not None),
    }


def _note(what: Chosen, *, pulled: bool) -> str:
    source = what.source
    assert source is not None
    if pulled:
        return "was pulled; these are its own figures"
    if what.instead_of is not None:
        return f"stands in for {what.instead_of}: {known_sources()[what.instead_of].needs}"
    if source.needs is not None:
        return f"cannot be pulled: {source.needs}; its substitute is {source.substitute}"
    if source.gated:
        have = "HF_TOKEN is there" if remote.token() else "it needs HF_TOKEN in ~/.api_keys, and its terms accepted"
        return f"gated, {have}; its substitute is {source.substitute}"
    return ""


def _line(entry: dict[str, Any]) -> list[str]:
    if entry["rows"] is None:
        return [entry["name"], *["—"] * 7]
    sizes = [_bytes(entry[key]) for key in ("download_bytes", "bytes", "peak_bytes")]
    return [entry["name"], entry["phase"], _count(entry["rows"]), _count(entry["tokens"]), *sizes, entry["license"]]


def _count(number: float) -> str:
    """13,000 or 360 M or 2.0 B."""
    if number < 1e6:
        return f"{number:,.0f}"
    return f"{number / 1e9:.1f} B" if number >= 0.9995e9 else f"{number / 1e6:.1f} M"


def _bytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
