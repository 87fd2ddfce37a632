import random

import pytest

from samosa.data.sources import remote
from samosa.data.sources.remote import Repo, fetch, list_files, resolve
from samosa.errors import NotReady, SamosaError
from tests.hub_server import Fault

BIG = random.Random(0).randbytes(300_000)
REPO = Repo("some/data", "dataset", "samosa pull x", substitute="y")


@pytest.fixture
def data(hub, slept):
    return hub.add(
        "datasets", "some/data", {"README.md": b"# card\n", "data/a.parquet": BIG, "data/deep/b.json": b"{}"}
    )


def get(tmp_path):
    commit = resolve(REPO, "main")
    file = next(file for file in list_files(REPO, commit) if file.path == "data/a.parquet")
    fetch(REPO, commit, file, tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_a_revision_is_resolved_and_its_files_are_listed(data):
    commit = resolve(REPO, "main")
    assert commit == data.commit
    assert [file.path for file in list_files(REPO, commit)] == ["README.md", "data/a.parquet", "data/deep/b.json"]
    assert [file.path for file in list_files(REPO, commit, "data", deep=False)] == ["data/a.parquet"]


def test_a_file_arrives_whole_whatever_breaks(hub, data, slept, tmp_path):
    cuts = [Fault("resolve", cut_after=n) for n in (1, 100_000, 0, 120_000)]
    hub.faults = [Fault("auth-check", 500), Fault("tree", 503), Fault("resolve", 502), *cuts]
    assert get(tmp_path).read_bytes() == BIG
    asked = [line.rsplit("bytes=", 1)[-1] for line in hub.lines if "resolve" in line and "bytes=" in line]
    starts = [int(text.rstrip("-")) for text in asked]
    assert starts == sorted(starts) and starts[-1] > 200_000, "nothing that had arrived was asked for again"
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_what_a_kill_left_is_gone_on_with(hub, data, tmp_path):
    (tmp_path / "a.parquet.part").write_bytes(BIG[:200_000])
    assert get(tmp_path).read_bytes() == BIG
    assert hub.lines[-1].endswith("bytes=200000-")


def test_a_file_that_is_here_is_not_fetched_again(hub, data, tmp_path):
    (tmp_path / "a.parquet").write_bytes(BIG)
    get(tmp_path)
    assert not any("resolve" in line for line in hub.lines)


@pytest.mark.parametrize("left", [b"x" * 200_000, b"x" * 400_000])
def test_damaged_bytes_are_thrown_away(data, tmp_path, left):
    (tmp_path / "a.parquet.part").write_bytes(left)
    assert get(tmp_path).read_bytes() == BIG


def test_the_hub_is_asked_as_late_as_it_says(hub, data, slept, tmp_path):
    hub.faults = [Fault("resolve", 429, {"Retry-After": "17"}), Fault("resolve", 429, {"Retry-After": "40"})]
    assert get(tmp_path).read_bytes() == BIG
    assert slept == [17, 40]


def failed(hub, faults, tmp_path, **token):
    hub.faults = faults
    with pytest.raises(SamosaError) as caught:
        get(tmp_path)
    assert "samosa pull x" in caught.value.hint or "sources.toml" in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("faults", "says", "code"),
    [
        ([Fault("resolve", 500)] * 6, "the Hub answers 500", 1),
        ([Fault("resolve", 429)] * 6, "slow down (429), for some minutes", 1),
        ([Fault("resolve", 429, {"Retry-After": "3600"})], "slow down (429), for 3600 s", 1),
        ([Fault("resolve", cut_after=0)] * 6, "no connection to http://127.0.0.1", 3),
        ([Fault("resolve", 403)], "does not let us read some/data without a token", 3),
    ],
)
def test_what_does_not_pass_is_two_lines(hub, data, slept, tmp_path, faults, says, code):
    error = failed(hub, faults, tmp_path)
    assert says in error.message and error.exit_code == code


@pytest.mark.parametrize(
    ("access", "token", "says"),
    [
        ("gated", None, "some/data is gated"),
        ("private", None, "some/data is not on the Hub, or hidden from us without a token"),
        ("open", "hf_wrong_token", "the Hub does not take our HF_TOKEN (401)"),
    ],
)
def test_doors_that_are_shut_are_named_with_their_key(hub, data, slept, tmp_path, monkeypatch, access, token, says):
    data.access = access
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    error = failed(hub, [], tmp_path)
    assert says in error.message and "HF_TOKEN=hf_... in ~/.api_keys" in error.hint
    assert isinstance(error, NotReady) and slept == [], "nobody waits before a shut door"


@pytest.mark.parametrize("access", ["gated", "private"])
def test_a_right_token_opens(data, tmp_path, monkeypatch, access):
    data.access = access
    monkeypatch.setenv("HF_TOKEN", "hf_right_token")
    assert get(tmp_path).read_bytes() == BIG


def test_what_is_not_there_is_said(hub, slept, tmp_path, monkeypatch):
    with pytest.raises(NotReady, match=r"some/data is not on the Hub"):
        resolve(REPO, "main")
    hub.add("datasets", "some/data", {"a": b""})
    with pytest.raises(SamosaError, match=r"has no longer what was asked for: Revision Not Found"):
        resolve(REPO, "v9")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens at the discard port
    with pytest.raises(NotReady, match=r"no connection to http://127.0.0.1:9 \(ConnectError\)"):
        resolve(REPO, "main")
    assert len(slept) == remote.ATTEMPTS - 1


def test_no_token_that_another_tool_stored_is_sent(data, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: "hf_stored_elsewhere")
    assert get(tmp_path).read_bytes() == BIG  # the server refuses tokens that it does not know


def test_a_disk_that_is_full_is_said_before_and_while(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("samosa.home.free_space", lambda path: 10)
        with pytest.raises(NotReady, match=r"needs 300.0 kB and its disk has 10 bytes free"):
            get(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote, "_get", full)
    with pytest.raises(NotReady, match="the disk is full"):
        get(tmp_path)
