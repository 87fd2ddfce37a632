"""Pulling a source: file by file from the Hub, a uniform sample of the whole split, the manifest last.

The work lies in `<out>/.pulling`: what was asked for and of which commit, one part for each upstream file, and the file
that is being fetched. A pull that was killed goes on after its last whole part and writes the same bytes as one that
was not. On disk at any time: what is kept, the rows that were among the smallest for a while (`overhead`), and one
upstream file.
"""

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa import console, home
from samosa.chat.tokenizer import Tokenizer
from samosa.data.parallel import alone
from samosa.data.sources import remote
from samosa.data.sources.parts import SUFFIX, Part, draw, join, rows_at, settle, texts_of
from samosa.data.sources.reading import CARD, files_of
from samosa.data.sources.registry import Source
from samosa.data.sources.remote import RemoteFile, Repo
from samosa.data.sources.sampling import ALL, Keys, cut_at
from samosa.errors import BadInput, NotReady, SamosaError

FORMAT = 1
MANIFEST = "manifest.json"
WORK = ".pulling"
SAMPLE_ROWS = 2_000  # whose tokens are counted; their rate is that of all within 1 %
SAMPLE_CHARS = 20_000_000
PACKED = 0.45  # bytes of zstd parquet for a character of English
Sized = tuple[Keys, NDArray[np.int64]]


@dataclass(frozen=True)
class Job:
    """One source to pull."""

    name: str
    source: Source
    out: Path
    again: str
    """What to type to go on."""

    @property
    def work(self) -> Path:
        return self.out / WORK

    @property
    def repo(self) -> Repo:
        return Repo(self.source.repo, "dataset", self.again, self.source.substitute)

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the bytes, besides the commit."""
        asked = self.source.model_dump(include={"repo", "config", "split", "mapper", "seed", "rows", "columns"})
        return {
            "format": FORMAT,
            "source": self.name,
            **asked,
            "characters": self.source.limit,
            "revision": self.source.revision,
        }


def overhead(source: Source) -> float:
    """How many rows are written for every one that is kept: 1 + ln(N/k), which bottom-k sampling comes to."""
    return 1 + math.log(max(1.0, source.upstream.rows / source.expected_rows))


def kept_bytes(source: Source) -> int:
    """About what a pull leaves on disk."""
    return int(source.expected_tokens * source.chars_per_token * (PACKED if source.kind == "text" else 1.1))


def disk_bytes(source: Source, largest: int) -> int:
    """About what a pull needs on disk while it runs; `largest` is the largest upstream file's size."""
    return int(kept_bytes(source) * (overhead(source) + (source.kind != "text")) + largest)


def pulled(job: Job) -> dict[str, Any] | None:
    """The manifest of a finished pull; None where there is none. Raises BadInput where `out` holds another pull."""
    path = job.out / MANIFEST
    if not path.is_file():
        return None
    manifest: dict[str, Any] = json.loads(path.read_text())
    if manifest.get("settings") != job.settings:
        raise BadInput(
            f"{job.out} holds another pull ({_said(manifest.get('settings', {}))})",
            hint=f"pull beside it: {job.again} --out {job.out}-2, or delete that folder first",
        )
    for file in manifest["files"]:
        there = job.out / file["path"]
        if not there.is_file() or there.stat().st_size != file["bytes"]:
            raise NotReady(f"{there} is missing or cut short", hint=f"rm -r {job.out}, then {job.again}")
    return manifest


def pull(job: Job, *, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Pull a source into `job.out`, going on from where an earlier attempt stopped; returns its manifest.

    Raises BadInput for a changed schema and where `out` holds something else, NotReady for network, access and disk,
    SamosaError where the Hub fails or not a single row was taken.
    """
    if done := pulled(job):
        return done
    with alone(job.work / "lock"):
        if done := pulled(job):  # another process finished it while this one waited
            return done
        commit, files = _begun(job)
        home.require_space(job.out, disk_bytes(job.source, max(file.size for file in files)) - _used(job.work))
        parts = _parts(job, commit, files)
        manifest = _finish(job, commit, files, parts, tokenizer)
        home.write_atomic(job.out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    shutil.rmtree(job.work)
    return manifest


def _begun(job: Job) -> tuple[str, list[RemoteFile]]:
    """The commit and files of this pull: those it began with, or the revision's of now."""
    path = job.work / "begun.json"
    if path.is_file():
        begun = json.loads(path.read_text())
        if begun["settings"] == job.settings:
            return begun["commit"], [RemoteFile(**file) for file in begun["files"]]
        console.say(f"{job.work} was begun with other settings ({_said(begun['settings'])}); it begins again")
        for entry in job.work.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    commit = remote.resolve(job.repo, job.source.revision)
    there = {file.path: file for file in remote.list_files(job.repo, commit)}
    card = ""
    if CARD in there:
        remote.fetch(job.repo, commit, there[CARD], job.work / CARD)
        card = (job.work / CARD).read_text(encoding="utf-8")
    files = [there[path] for path in files_of(job.source, card, list(there), name=job.name)]
    begun = {"settings": job.settings, "commit": commit, "files": [asdict(file) for file in files]}
    home.write_atomic(path, json.dumps(begun))
    return commit, files


def _parts(job: Job, commit: str, files: Sequence[RemoteFile]) -> list[Part]:
    parts: list[Part] = []
    smallest: Sized = (np.empty(0, np.uint64), np.empty(0, np.int64))
    cut = ALL
    for number, file in enumerate(files):
        part = Part(job.work / f"part-{number:05d}", job.source.kind)
        if not part.folder.is_dir():
            download = job.work / Path(file.path).name
            said = f"{job.name}: file {number + 1} of {len(files)}"
            remote.fetch(job.repo, commit, file, download, progress=_told(said, file.size))
            console.live_line(f"{said}, drawing rows")
            where = f"{job.source.repo}@{commit[:7]}, {file.path}"
            draw(job.source, download, f"{job.source.repo}/{file.path}", cut, part.folder, where=where)
            download.unlink()
        parts.append(part)
        smallest, cut = _smallest(job.source, smallest, part)
    return parts


def _smallest(source: Source, before: Sized, part: Part) -> tuple[Sized, np.uint64]:
    """The rows that may still be among those kept, as keys and weights, and the cut they are under."""
    keys = np.concatenate([before[0], part.keys])
    weights = np.concatenate([before[1], part.chars if source.tokens else np.ones(len(part.keys), np.int64)])
    cut = cut_at(keys, weights, source.limit)
    return (keys[keys < cut], weights[keys < cut]), cut


def _finish(
    job: Job, commit: str, files: Sequence[RemoteFile], parts: Sequence[Part], tokenizer: Tokenizer | None
) -> dict[str, Any]:
    keys, chars = np.concatenate([p.keys for p in parts]), np.concatenate([p.chars for p in parts])
    weights = chars if job.source.tokens else np.ones(len(keys), np.int64)
    cut = cut_at(keys, weights, job.source.limit)
    kept = keys < cut
    counts = [part.counts for part in parts]
    seen = sum(count["seen"] for count in counts)
    dropped = sum((Counter(count["dropped"]) for count in counts), Counter[str]())
    if not kept.any():
        reasons = ", ".join(f"{why} {n:,}" for why, n in dropped.most_common(3))
        raise SamosaError(
            f"{job.name}: not one of {seen:,} rows was taken{f' ({reasons})' if reasons else ''}",
            hint=f"look at {job.repo.url}: its rows are not what the mapper {job.source.mapper} reads",
        )
    written = _written(job, parts, cut)
    tokens, basis = _tokens(job.source, written, keys[kept], chars[kept], tokenizer)
    return {
        "settings": job.settings,
        "commit": commit,
        "license": job.source.license,
        "phase": job.source.phase,
        "kind": job.source.kind,
        "rows_seen": seen,
        "rows": int(kept.sum()),
        "dropped": dict(sorted(dropped.items())),
        "characters": int(chars[kept].sum()),
        "tokens": tokens,
        "tokens_basis": basis,
        "bytes": sum(path.stat().st_size for path, _ in written),
        "files": [
            {"path": path.name, "rows": len(keys), "bytes": path.stat().st_size, "sha256": home.sha256_file(path)}
            for path, keys in written
        ],
        "upstream": [
            {"path": f.path, "bytes": f.size, "sha256": f.sha256, "rows": c["seen"]}
            for f, c in zip(files, counts, strict=True)
        ],
    }


def _written(job: Job, parts: Sequence[Part], cut: np.uint64) -> list[tuple[Path, Keys]]:
    """The final files, each with its rows' keys: one of JSON lines, or one of texts for each upstream file."""
    if job.source.kind != "text":
        target = job.out / f"{job.name}{SUFFIX[job.source.kind]}"
        join(parts, cut, target)
        keys = np.concatenate([part.keys for part in parts])
        return [(target, keys[keys < cut])]
    targets = [job.out / f"{job.name}-{number:05d}.parquet" for number in range(len(parts))]
    for part, target in zip(parts, targets, strict=True):
        settle(part, cut, target)
    return [(target, part.keys[part.keys < cut]) for part, target in zip(parts, targets, strict=True)]


def _tokens(
    source: Source,
    written: Sequence[tuple[Path, Keys]],
    keys: Keys,
    chars: NDArray[np.int64],
    tokenizer: Tokenizer | None,
) -> tuple[int, str]:
    """Tokens of all rows, and how that is known: counted where there is a tokenizer, on a uniform sample of many."""
    if tokenizer is None:
        return int(chars.sum() / source.chars_per_token), f"estimated: {source.chars_per_token} characters a token"
    cut = min(cut_at(keys, np.ones(len(keys), np.int64), SAMPLE_ROWS), cut_at(keys, chars, SAMPLE_CHARS))
    cut = max(cut, keys.min() + np.uint64(1))  # a single book may be longer than the sample
    counted = read = 0
    for path, its_keys in written:
        for row in rows_at(path, source.kind, np.flatnonzero(its_keys < cut)):
            texts = list(texts_of(row))
            read += sum(map(len, texts))
            counted += sum(map(len, tokenizer.encode_batch(texts)))
    sampled = int((keys < cut).sum())
    how = "every row" if sampled == len(keys) else f"{sampled:,} rows drawn uniformly"
    return round(counted * int(chars.sum()) / max(1, read)), f"counted with tokenizer {tokenizer.hash[:12]}, {how}"


def _told(said: str, size: int) -> Callable[[int], None]:
    return lambda done: console.live_line(f"{said}, {done / 1e6:,.0f} of {size / 1e6:,.0f} MB")


def _used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _said(settings: dict[str, Any]) -> str:
    cap = settings.get("rows") or settings.get("characters")
    unit = "rows" if settings.get("rows") else "characters"
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    taken = f"{cap:,} {unit}" if cap else "all rows"
    return f"{taken}, seed {settings.get('seed')}, {settings.get('config')}, settings {key}"
