"""CORE's bundle of tasks, as nanochat uses it: core.yaml, eval_meta_data.csv and eval_data/, fetched once as a zip."""

import csv
import json
import random
import tempfile
import zipfile
from pathlib import Path
from typing import Any, get_args

from samosa import console, home
from samosa.data.lines import open_lines
from samosa.errors import BadInput, NotReady
from samosa.eval.benchmarks import core
from samosa.eval.benchmarks.core import Task
from samosa.eval.benchmarks.settings import Core

FOLDER = "eval_bundle"
"""In the home and in the zip: where nanochat has it."""
ORDER_SEED = 1337
TIMEOUT = 60  # seconds without a byte
MISSING = (
    "unpack it by hand and name it: curl -LO {url} && unzip eval_bundle.zip, then --set core.path=$PWD/eval_bundle"
)
UNPACK = "unpack nanochat's eval_bundle.zip again"


def tasks(settings: Core) -> list[Task]:
    """The tasks of the bundle, in its order, their rows shuffled as nanochat does and cut to `limit`.

    Raises NotReady where the bundle is not here and cannot be fetched, BadInput where it is not such a bundle.
    """
    folder = _folder(settings)
    entries = _yaml(folder / "core.yaml")
    baselines = _baselines(folder / "eval_meta_data.csv")
    return [_task(folder, entry, baselines, settings.limit) for entry in entries]


def _folder(settings: Core) -> Path:
    folder = home.root() / (FOLDER if settings.path is None else Path(settings.path).expanduser())
    if (folder / "core.yaml").is_file():
        return folder
    if settings.path is not None:
        raise NotReady(f"there is no CORE bundle in {folder}: core.yaml is missing", hint=_missing(settings))
    _fetch(settings, folder)
    return folder


def _missing(settings: Core) -> str:
    return MISSING.format(url=settings.url)


def _fetch(settings: Core, folder: Path) -> None:
    """Download and unpack the zip; the folder appears whole or not at all."""
    home.make_folder(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-eval_bundle-") as work:
        target = Path(work, "bundle.zip")
        sha256 = _download(settings, target)
        if settings.sha256 and sha256 != settings.sha256:
            raise NotReady(
                f"{settings.url} is not the bundle that numbers are quoted for: its sha256 is {sha256}",
                hint=f"look what changed there; to take it all the same: --set core.sha256={sha256}",
            )
        try:
            with zipfile.ZipFile(target) as archive:
                archive.extractall(work)  # zipfile keeps what it writes inside
        except zipfile.BadZipFile as error:
            raise NotReady(f"{settings.url} is no zip: {error}", hint=_missing(settings)) from error
        if not Path(work, FOLDER, "core.yaml").is_file():
            raise NotReady(f"the zip of {settings.url} has no {FOLDER}/core.yaml", hint=_missing(settings))
        with home.atomic_path(folder) as final:
            Path(work, FOLDER).rename(final)


def _download(settings: Core, target: Path) -> str:
    """Fetch the zip; its sha256."""
    import httpx

    try:
        with httpx.stream("GET", settings.url, timeout=TIMEOUT, follow_redirects=True) as answer:
            answer.raise_for_status()
            size = int(answer.headers.get("content-length", 0))
            home.require_space(target, 3 * size)  # the zip, and what is in it
            with home.failure_said(target), target.open("wb") as out:
                for piece in answer.iter_bytes():
                    out.write(piece)
                    console.live_line(f"CORE's bundle: {out.tell() / 1e6:,.0f} of {size / 1e6:,.0f} MB")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise NotReady(f"CORE's bundle could not be fetched: {what}", hint=_missing(settings)) from error
    return home.sha256_file(target)


def _yaml(path: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["icl_tasks"]
        for entry in entries:
            if entry["icl_task_type"] not in get_args(core.Kind):
                raise ValueError(f"{entry['label']}: icl_task_type {entry['icl_task_type']} is not known")
            _ = entry["dataset_uri"], entry["num_fewshot"][0] + 0
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"{path} is no list of CORE's tasks: {what}", hint=UNPACK) from error
    return list(entries)


def _baselines(path: Path) -> dict[str, float]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["Eval Task"]: float(row["Random baseline"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"{path} does not say what guessing gives: {what}", hint=UNPACK) from error


def _task(folder: Path, entry: dict[str, Any], baselines: dict[str, float], limit: int | None) -> Task:
    label, kind = entry["label"], entry["icl_task_type"]
    path = folder / "eval_data" / entry["dataset_uri"]
    if label not in baselines:
        raise BadInput(f"{folder}/eval_meta_data.csv has no line for {label}", hint=UNPACK)
    rows = []
    for number, (_, line) in enumerate(open_lines(path), 1):
        try:
            rows.append(json.loads(line))
            core.check_row(rows[-1], kind)
        except ValueError as error:
            raise BadInput(f"{path}: row {number}: {error}", hint=UNPACK) from error
    random.Random(ORDER_SEED).shuffle(rows)
    rows, shots = rows[:limit], entry["num_fewshot"][0]
    if len(rows) <= shots:
        raise BadInput(
            f"{label} shows {shots} worked examples and has {len(rows)} rows",
            hint=f"--set core.limit={shots + 1} or more",
        )
    return Task(label, kind, shots, entry.get("continuation_delimiter", " "), baselines[label], rows)
