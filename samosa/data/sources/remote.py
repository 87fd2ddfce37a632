"""The Hub: which commit a revision is, what files it has, and getting one of them whole, however often it breaks off.

Files are fetched by plain ranged requests on huggingface_hub's own client: its `hf_hub_download` begins a file again
after a kill (2.4 writes to a new temporary file each time), and a checkpoint has gigabytes.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import huggingface_hub as hf
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,  # of httpx or httpx2, whichever this huggingface_hub is built on
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from samosa import console, home, secrets
from samosa.errors import NotReady, SamosaError

T = TypeVar("T")
RepoType = Literal["dataset", "model"]

TOKEN = "HF_TOKEN"
ATTEMPTS = 6  # in a row without a byte of progress
LONGEST_WAIT = 300  # seconds; a Hub that asks for more is asked again later by the person
TIMEOUT = 60  # seconds without a byte
PASSING = frozenset({408, 429, 500, 502, 503, 504})
_backoff = wait_exponential(multiplier=1, max=60)


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit."""

    path: str
    size: int
    sha256: str | None
    """Of its bytes, where the Hub keeps it in large-file storage; small files have only git's hash."""
    git: str


@dataclass(frozen=True)
class Repo:
    """A repository of the Hub, and what to type again once what is missing is there."""

    id: str
    type: RepoType
    again: str
    substitute: str | None = None

    @property
    def url(self) -> str:
        return f"{endpoint()}/{'datasets/' if self.type == 'dataset' else ''}{self.id}"


class Damaged(OSError):
    """What arrived is not what the Hub says it has."""


def endpoint() -> str:
    """Where the Hub is: $HF_ENDPOINT, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def token() -> str | Literal[False]:
    """The Hub's token, or False: then none is sent, not even one that another tool stored."""
    return secrets.get(TOKEN) or False


def resolve(repo: Repo, revision: str) -> str:
    """The commit that a revision stands for. Raises NotReady and SamosaError, as `patiently` does."""
    api = _api()

    def look() -> str:
        api.auth_check(repo.id, repo_type=repo.type)  # says which of gated, absent and not allowed it is
        return str(api.repo_info(repo.id, repo_type=repo.type, revision=revision, timeout=TIMEOUT).sha)

    return patiently(look, repo)


def list_files(repo: Repo, commit: str, folder: str | None = None, *, deep: bool = True) -> list[RemoteFile]:
    """The files of a commit, or of a folder of it, by name; with `deep` also those in folders below."""
    api = _api()
    ask = partial(api.list_repo_tree, repo.id, folder, recursive=deep, repo_type=repo.type, revision=commit)
    entries = patiently(lambda: list(ask()), repo)
    return sorted((_remote(e) for e in entries if isinstance(e, RepoFile)), key=lambda file: file.path)


def fetch(
    repo: Repo, commit: str, file: RemoteFile, target: Path, *, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Get a file to `target`, which appears when its bytes have the hash that the Hub gives; a `target` of the right
    size and hash is left as it is. What a kill or a broken connection left in `<target>.part` is gone on with.

    Raises NotReady where the disk is full or the Hub refuses, SamosaError where it does not answer.
    """
    if target.is_file() and target.stat().st_size == file.size and is_whole(target, file):
        return
    begun = target.with_name(f"{target.name}.part")
    home.make_folder(target.parent)
    have = begun.stat().st_size if begun.is_file() else 0
    home.require_space(target, max(0, file.size - have))
    headers = build_hf_headers(token=token(), headers={"Accept-Encoding": "identity"})
    url = hf.hf_hub_url(repo.id, file.path, repo_type=repo.type, revision=commit, endpoint=endpoint())

    def get() -> None:
        _get(url, headers, begun, file, progress)
        if not is_whole(begun, file):
            begun.unlink()
            raise Damaged(f"{file.path} arrived damaged")

    try:
        patiently(get, repo)
    except OSError as error:
        if error.errno not in home.NO_SPACE:
            raise
        raise NotReady(
            f"the disk is full: could not write {begun}", hint=f"free some space, then {repo.again}"
        ) from error
    begun.replace(target)


def _get(url: str, headers: dict[str, str], begun: Path, file: RemoteFile, progress: Callable[[int], None]) -> None:
    """Bytes to the end of the file, asking again at once for as long as each answer brings some."""
    while True:
        have = begun.stat().st_size if begun.is_file() else 0
        if have > file.size:
            begun.unlink()
            continue
        if have == file.size:
            begun.touch()  # an empty file is there without a request
            return
        wanted = {**headers, "Range": f"bytes={have}-"} if have else headers
        try:
            with hf.get_session().stream("GET", url, headers=wanted, timeout=TIMEOUT) as answer:
                if answer.is_error:
                    answer.read()  # the Hub's explanation
                hf.hf_raise_for_status(answer)
                with begun.open("ab" if answer.status_code == 206 else "wb") as out:
                    for piece in answer.iter_raw():  # as it comes: what arrived before a break is kept
                        out.write(piece)
                        progress(out.tell())
        except HTTPError as error:
            if isinstance(error, HfHubHTTPError) or not begun.is_file() or begun.stat().st_size <= have:
                raise


def patiently(ask: Callable[[], T], repo: Repo) -> T:
    """Ask again while what goes wrong may pass, as late as the Hub's Retry-After says, ATTEMPTS times in all.

    Raises NotReady for what only a person can change (no network, no or a wrong token, a gated or absent repository),
    SamosaError where the Hub does not recover. Other errors are left as they are.
    """
    tries = Retrying(
        retry=retry_if_exception(_passes),
        wait=_wait,
        stop=stop_after_attempt(ATTEMPTS),
        before_sleep=lambda state: _say_wait(state, repo),
        reraise=True,
    )
    try:
        return tries(ask)
    except Exception as error:
        cause = _wire_error(error)
        if cause is None:
            raise
        raise _explained(cause, repo) from error


def _wire_error(error: BaseException | None) -> HTTPError | Damaged | None:
    """The network's error, perhaps wrapped by a library; None where it is something else."""
    while error is not None and not isinstance(error, HTTPError | Damaged):
        error = error.__cause__ or error.__context__
    return error


def _passes(error: BaseException) -> bool:
    cause = _wire_error(error)
    if isinstance(cause, HfHubHTTPError):
        return cause.response.status_code in PASSING and _asked_to_wait(cause) <= LONGEST_WAIT
    return cause is not None


def _asked_to_wait(error: BaseException | None) -> float:
    """Seconds of Retry-After; 0 where there is none (its form as a date is not used by the Hub)."""
    said = error.response.headers.get("retry-after", "") if isinstance(error, HfHubHTTPError) else ""
    return float(said) if said.strip().isdigit() else 0.0


def _wait(state: RetryCallState) -> float:
    return max(_backoff(state), _asked_to_wait(_wire_error(state.outcome.exception() if state.outcome else None)))


def _say_wait(state: RetryCallState, repo: Repo) -> None:
    cause = _wire_error(state.outcome.exception() if state.outcome else None)
    seconds = state.next_action.sleep if state.next_action else 0
    console.say(f"{repo.id}: {_short(cause)}; asking again in {seconds:.0f} s")


def _short(error: HTTPError | Damaged | None) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"the Hub answers {error.response.status_code}"
    return str(error) if isinstance(error, Damaged) else f"no connection ({type(error).__name__})"


def _explained(error: HTTPError | Damaged, repo: Repo) -> SamosaError:
    """The two lines for what went wrong; the second can be pasted."""
    keys = f"{TOKEN}=hf_... in ~/.api_keys"
    instead = f", or take its substitute: samosa pull {repo.substitute}" if repo.substitute else ""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    sent = "with this HF_TOKEN" if token() else f"without a token ({keys})"
    if isinstance(error, GatedRepoError):
        return NotReady(
            f"{repo.id} is gated: its owner lets in accounts that accepted the terms",
            hint=f"accept them at {repo.url}, put {keys}, then {repo.again}{instead}",
        )
    if isinstance(error, RevisionNotFoundError | EntryNotFoundError):
        return SamosaError(
            f"{repo.id} has no longer what was asked for: {_first_line(error)}",
            hint=f"look at {repo.url}/tree/main, and name a revision that has it in configs/{_registry(repo)}",
        )
    if isinstance(error, RepositoryNotFoundError):
        return NotReady(
            f"{repo.id} is not on the Hub, or hidden from us {sent}",
            hint=f"look at {repo.url}; if it is private, put {keys}, then {repo.again}{instead}",
        )
    if status in (401, 403):
        why = "does not take our HF_TOKEN" if status == 401 else f"does not let us read {repo.id} {sent}"
        return NotReady(
            f"the Hub {why} ({status})",
            hint=f"make a token that may read at {endpoint()}/settings/tokens, put {keys}, then {repo.again}",
        )
    if status == 429:
        wait = f"{_asked_to_wait(error):.0f} s" if _asked_to_wait(error) else "some minutes"
        return SamosaError(
            f"the Hub asks us to slow down (429), for {wait}",
            hint=f"later: {repo.again} goes on where it stopped; {keys} raises the limit",
        )
    if status is not None:
        return SamosaError(
            f"the Hub answers {status} for {repo.id}", hint=f"later: {repo.again} goes on where it stopped"
        )
    if isinstance(error, Damaged):
        return SamosaError(f"{error}, {ATTEMPTS} times", hint=f"later: {repo.again}; is there a proxy in between?")
    return NotReady(
        f"no connection to {endpoint()} ({type(error).__name__})",
        hint=f"connect this machine, then {repo.again} goes on where it stopped",
    )


def _registry(repo: Repo) -> str:
    return "sources.toml" if repo.type == "dataset" else "checkpoints.toml"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "for url" in line), lines[0] if lines else type(error).__name__)


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether a file's bytes have the hash that the Hub gives."""
    if file.sha256 is not None:
        return home.sha256_file(path) == file.sha256
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == file.git


def _remote(info: RepoFile) -> RemoteFile:
    return RemoteFile(info.path, info.size, info.lfs.sha256 if info.lfs else None, info.blob_id)


def _api() -> hf.HfApi:
    return hf.HfApi(endpoint=endpoint(), token=token())
