"""`samosa mix`, and what every mix does before it writes: it shows what each source gives, and warns."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.chat.render import BYTES_PER_TOKEN
from samosa.chat.tokenizer import FILE_NAME, load_tokenizer
from samosa.config import Options, Recipe, load
from samosa.data import mix
from samosa.data.mix import Mixed, Share, Written
from samosa.data.parallel import Result, alone, default_workers
from samosa.errors import BadInput
from samosa.phases import doctor
from samosa.phases.command import flags_of
from samosa.phases.doctor import source_path
from samosa.phases.settings import Mix, MixSource

TRAINING = "training.jsonl"
VALIDATION = "validation.jsonl"
RECORD = "mix.json"
COLUMNS = ("source", "rows", "taken", "held out", "training rows", "epochs", "tokens", "supervised", "of supervised")


class MixAlone(Recipe):
    """A mix by itself: configs/mix.toml."""

    mix: Mix


def run(options: Options, *, files: Sequence[Path] = (), out: Path | None = None, workers: int | None = None) -> int:
    """Blend the recipe's sources, or `files`, into a folder, or with --plan show what that would be; returns the exit
    code.

    The folder gets training.jsonl, validation.jsonl and mix.json, its account, written last. Raises BadInput for a
    recipe, a file or a row that is wrong, NotReady where the disk is full; what the folder held is then as it was.
    """
    settings = load(MixAlone, "mix", recipe=options.recipe, sets=options.sets).mix
    if files:
        settings = settings.model_copy(update={"sources": [_once(path) for path in files], "total": None})
    folder = out or home.root() / "data" / "mix"
    _check(settings, folder)
    checks = doctor.check_sources(settings.sources)
    if options.plan and any(check.error for check in checks) and not files:
        return _guess(settings, checks, options)
    doctor.raise_first(checks)
    paths = {source.name: source_path(source) for source in here(settings.sources)}
    scratch = folder.parent / f".{folder.name}-parts"
    with alone(scratch / ".lock"), decided(settings, paths, scratch=scratch, workers=workers) as mixed:
        account: dict[str, Any] = {
            "mix": settings.model_dump(mode="json", exclude_none=True),
            "tokenizer": vocabulary_hash(),
            "sources": [asdict(share) for share in mixed.shares],
        }
        if options.plan:
            console.say(f"✓ {mixed.size / 1e6:,.1f} MB would be written to {folder}")
        else:
            written = mixed.write(folder / TRAINING, folder / VALIDATION)
            account["files"] = dict(zip((TRAINING, VALIDATION), map(asdict, written), strict=True))
            home.write_atomic(folder / RECORD, json.dumps(account, indent=1) + "\n")
            console.say(f"✓ {said(written, mixed.shares)} in {folder}")
    if options.json:
        console.emit_json({"plan": options.plan, "out": str(folder), **account})
    console.say(_next(options, files, out, folder))
    return 0


@contextlib.contextmanager
def decided(settings: Mix, paths: Mapping[str, Path], *, scratch: Path, workers: int | None = None) -> Iterator[Mixed]:
    """The mix of the sources in `paths` (name -> file), its account shown and nothing written yet.

    Tokens are counted with the home's tokenizer where it is there, and otherwise estimated and marked so.
    Raises what `mix.blended` does, and BadInput where nothing is left to train on or to validate on.
    """
    sources = [source for source in settings.sources if source.name in paths]
    for source in settings.sources:
        if source not in sources:
            console.warn(f"{source.name}: {source.path} is not on this machine; the recipe says optional")
    if not sources:
        raise BadInput(
            "none of the mix's sources is on this machine",
            hint=f"put them there ({', '.join(str(s.path) for s in settings.sources)}), or name files to mix",
        )
    pools = [mix.MixSource(s.name, paths[s.name], s.repeat, s.rows, s.weight) for s in sources]
    counted = vocabulary_hash() is not None
    with mix.blended(
        pools,
        seed=settings.seed,
        validation_share=settings.validation,
        total=settings.total,
        tokenizer=home.tokenizer_dir() if counted else None,
        scratch=scratch,
        workers=workers or default_workers(),
        progress=_progress(),
    ) as mixed:
        show(mixed.shares, counted=counted)
        for text in warnings(settings, mixed.shares):
            console.warn(text)
        for short, rows in (("training", mixed.training), ("validation", mixed.validation)):
            if not len(rows):
                raise BadInput(f"the mix has no {short} rows", hint="give it more rows, or set mix.validation")
        yield mixed


def show(shares: Sequence[Share], *, counted: bool) -> None:
    """Print what each source gives, and all of them."""
    mark = "" if counted else "~"
    rows = [_row(share.source, share, mark, f"{share.epochs:.4g}") for share in shares]
    if len(shares) > 1:
        rows.append(_row("all", _sum(shares), mark, ""))
    console.table(COLUMNS, rows)
    if not counted:
        where = home.tokenizer_dir() / FILE_NAME
        console.say(f"~ estimated at {BYTES_PER_TOKEN} bytes a token: there is no {where}")


def warnings(settings: Mix, shares: Sequence[Share]) -> list[str]:
    """What is likely not meant: too much of one thing, rows seen too often, rows that say the same."""
    asked = {source.name: source for source in settings.sources}
    domains: dict[str, float] = {}
    for share in shares:
        domain = asked[share.source].domain or share.source
        domains[domain] = domains.get(domain, 0.0) + share.supervised_share
    found = [
        f"{domain} has {part:.1%} of the supervised tokens, more than mix.max_share = {settings.max_share:g}"
        for domain, part in domains.items()
        if part > settings.max_share and len(domains) > 1
    ]
    for share in shares:
        distinct, rows = share.taken - share.validation, asked[share.source].rows
        if share.epochs > settings.max_epochs:
            seen = f"its {distinct:,} rows are seen {share.epochs:.4g} times"
            found.append(f"{share.source}: {seen}, more than mix.max_epochs = {settings.max_epochs:g}")
        if rows is not None and share.taken < rows:
            found.append(f"{share.source}: {rows:,} rows were asked for and {share.taken:,} are all there are")
        if share.repeated:
            found.append(
                f"{share.source}: {share.repeated:,} rows say what an earlier row of the mix says: samosa dedup"
            )
        if not share.training:
            found.append(f"{share.source}: no row is trained on, and {share.validation:,} are held out")
    return found


def said(files: tuple[Written, Written], shares: Sequence[Share]) -> str:
    """What was written, in one line."""
    training, validation = files
    sources = "1 source" if len(shares) == 1 else f"{len(shares)} sources"
    return f"{training.rows:,} rows from {sources}, {validation.rows:,} held out"


def here(sources: Sequence[MixSource]) -> list[MixSource]:
    """The sources that will be mixed: all but optional ones whose file is not on this machine."""
    return [s for s in sources if s.path is None or not s.optional or source_path(s).is_file()]


def check_distinct(settings: Mix) -> None:
    """Raise BadInput for a source that stands in the recipe twice."""
    names = [source.name for source in settings.sources]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"mix.sources: {twice[0]} stands there twice", hint="raise its repeat instead")


def amount(source: MixSource) -> str:
    """How much of a source the recipe takes, in a word."""
    if source.weight is not None:
        return f"{source.name} {source.weight:.4g} of all"
    return f"{source.name} {source.rows:,} rows" if source.rows is not None else f"{source.name} x{source.repeat:g}"


def expected_rows(settings: Mix, there: Mapping[str, int]) -> dict[str, int]:
    """About how many training rows each source gives, from about how many rows it has; nothing is held out."""
    sources = [s for s in settings.sources if s.name in there]
    kept = [min(source.rows or there[source.name], there[source.name]) for source in sources]
    asked = [mix.MixSource(s.name, Path(), s.repeat, s.rows, s.weight) for s in sources]
    counts = mix.training_rows(asked, kept, total=settings.total)
    return {source.name: count for source, count in zip(sources, counts, strict=True)}


def vocabulary_hash() -> str | None:
    """The hash of the home's tokenizer; None where there is none."""
    if not (home.tokenizer_dir() / FILE_NAME).is_file():
        return None
    return load_tokenizer(home.tokenizer_dir()).hash


def _guess(settings: Mix, checks: Sequence[doctor.Check], options: Options) -> int:
    """The plan where files are missing: what the recipe says about them."""
    rows = expected_rows(settings, {source.name: source.about_rows or 0 for source in settings.sources})
    tokens = {source.name: rows[source.name] * source.about_tokens for source in settings.sources}
    table = [(name, f"~{count:,}", f"~{tokens[name]:,}") for name, count in rows.items()]
    total = ("all", f"~{sum(rows.values()):,}", f"~{sum(tokens.values()):,}")
    console.table(("source", "training rows", "tokens"), [*table, total])
    console.say("~ estimated: the recipe's about_rows and about_tokens, for files that are not all here")
    console.table(["", "needs", "found"], [(check.mark, check.name, check.found) for check in checks], title="")
    if options.json:
        guessed = [{"source": name, "training": count, "tokens": tokens[name]} for name, count in rows.items()]
        missing = [check.found for check in checks if check.error]
        console.emit_json({"plan": True, "estimated": True, "sources": guessed, "missing": missing})
    broken = next(check.name for check in checks if check.error)
    console.say(f"next: put {broken} there, then samosa mix{flags_of(replace(options, tag=None))}")
    return 0


def _check(settings: Mix, out: Path) -> None:
    """Raise BadInput for a recipe that no mix can be made of, and for an `out` that cannot be written to."""
    if settings.made is not None:
        raise BadInput("mix.made is for trainings: samosa mix makes what it names", hint="leave mix.made out")
    check_distinct(settings)
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file", hint="name a folder, new or old, for the mix")
    for source in settings.sources:
        if source.path is None:
            raise BadInput(
                f"mix.sources: {source.name} has no path",
                hint=f"samosa gen-data {source.name}, and give the file it names as path",
            )
        if source_path(source).resolve() in {(out / name).resolve() for name in (TRAINING, VALIDATION)}:
            raise BadInput(f"{source_path(source)} would be written over", hint="name another folder with --out")


def _once(path: Path) -> MixSource:
    """A file of one's own as a source; it is there, so that nothing about it need be guessed."""
    whole = home.plain_name(path)
    name = whole.split(".")[0] or whole
    return MixSource(name=name, path=str(path.resolve()), repeat=1, optional=False, about_rows=1, about_tokens=1)


def _next(options: Options, files: Sequence[Path], out: Path | None, folder: Path) -> str:
    if options.plan:
        named = "".join(f" {shlex.quote(str(path))}" for path in files)
        where = "" if out is None else f" --out {shlex.quote(str(out))}"
        return f"next: samosa mix{named}{flags_of(options)}{where}"
    there = folder.resolve()
    made = there.relative_to(home.root()) if there.is_relative_to(home.root()) else there
    return f"next: samosa sft --plan --set {shlex.quote(f'mix.made={made}')}"


def _sum(shares: Sequence[Share]) -> Share:
    names = ("read", "taken", "validation", "training", "tokens", "supervised", "supervised_share", "repeated")
    return replace(shares[0], **{name: sum(getattr(share, name) for share in shares) for name in names})


def _row(name: str, share: Share, mark: str, epochs: str) -> tuple[str, ...]:
    rows = [f"{count:,}" for count in (share.read, share.taken, share.validation, share.training)]
    tokens = [f"{mark}{count:,}" for count in (share.tokens, share.supervised)]
    return (name, *rows, epochs, *tokens, f"{mark}{share.supervised_share:.1%}")


def _progress() -> mix.Progress:
    rows = 0

    def tell(result: Result | None) -> None:
        nonlocal rows
        if result is not None:
            rows += result.counts["rows"]
            console.live_line(f"  {rows:,} rows read")

    return tell
