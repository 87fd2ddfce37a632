import io
import json
import pickle

import pytest

from samosa import home
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.home import CheckpointRef
from samosa.hub.fetch import Wanted, fetch_checkpoint
from tests.hub_server import Fault

REPO = "ManmohanSharma/nanochat-d24"


class Armed:
    """What a pickle could do to whoever opens it."""

    def __reduce__(self):
        return (pytest.fail, ("a downloaded file was unpickled",))


BOMB = pickle.dumps(Armed())
FILES = {
    "tokenizer/tokenizer.pkl": BOMB,
    "tokenizer/token_bytes.pt": BOMB * 2,
    "chatsft_checkpoints/d24-sft-r6/model_000754.pt": BOMB * 3000,
    "chatsft_checkpoints/d24-sft-r6/meta_000754.json": b'{"step": 754}',
    "chatsft_checkpoints/d24-sft-r6/optim_000754_rank0.pt": BOMB * 5,
    "chatsft_checkpoints/d24-sft-r6/optim_000754_rank1.pt": BOMB * 7,
    "chatsft_checkpoints/d24-sft-r6/model_000700.pt": b"another step",
}


@pytest.fixture
def wanted(samosa_home, slept):
    ref = CheckpointRef("chat", "d24-sft-r6", 754, home.checkpoint_dir("chat", "d24-sft-r6"))
    return Wanted(ref, REPO, "chatsft_checkpoints/d24-sft-r6", "samosa pull d24-sft-r6")


def here(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


NAMES = {name for name in FILES if "optim" not in name and "700" not in name}


def test_a_checkpoint_comes_with_its_tokenizer_and_nothing_opens_it(hub, wanted, samosa_home):
    repo = hub.add("models", REPO, FILES)
    record = fetch_checkpoint(wanted)
    assert record["commit"] == repo.commit
    assert here(samosa_home) == NAMES | {"chatsft_checkpoints/d24-sft-r6/hub_000754.json"}
    assert all((samosa_home / name).read_bytes() == FILES[name] for name in NAMES)
    assert home.find_checkpoint("d24-sft-r6@754") == wanted.ref
    with pytest.raises(BadInput):
        home.find_checkpoint("d24-sft-r6")  # made by others: it is found when its step is named
    sums = {file["path"]: file["sha256"] for file in record["files"]}
    assert sums["tokenizer/tokenizer.pkl"] == home.sha256_file(samosa_home / "tokenizer/tokenizer.pkl")
    assert json.loads((wanted.ref.directory / "hub_000754.json").read_text())["files"] == record["files"]


def test_the_optimizer_comes_when_it_is_asked_for(hub, wanted, samosa_home):
    hub.add("models", REPO, FILES)
    fetch_checkpoint(wanted)
    hub.lines = []
    fetch_checkpoint(Wanted(wanted.ref, REPO, wanted.folder, wanted.again, optimizer=True))
    assert {line.split()[1].rsplit("/", 1)[-1] for line in hub.lines if "resolve" in line} == {
        "optim_000754_rank0.pt",
        "optim_000754_rank1.pt",
    }
    assert (wanted.ref.directory / "optim_000754_rank1.pt").read_bytes() == BOMB * 7


def test_an_interrupted_pull_shows_no_checkpoint_and_goes_on(hub, wanted, samosa_home):
    hub.add("models", REPO, FILES)
    hub.faults = [Fault("model_000754", cut_after=50_000), *[Fault("model_000754", 503)] * 6]
    with pytest.raises(SamosaError, match="the Hub answers 503"):
        fetch_checkpoint(wanted)
    assert not wanted.ref.model_path.exists() and home.list_checkpoints("chat", "d24-sft-r6") == []
    assert not home.tokenizer_dir().exists(), "neither its tokenizer"
    hub.lines = []
    fetch_checkpoint(wanted)
    assert next(line for line in hub.lines if "resolve" in line).endswith("bytes=50000-")
    assert wanted.ref.model_path.read_bytes() == FILES["chatsft_checkpoints/d24-sft-r6/model_000754.pt"]


def test_again_it_only_looks(hub, wanted, capsys):
    hub.add("models", REPO, FILES)
    fetch_checkpoint(wanted)
    hub.lines = []
    assert fetch_checkpoint(wanted)["fetched"] == []
    assert not any("resolve" in line for line in hub.lines) and "is here already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tokenizer/tokenizer.pkl", "chatsft_checkpoints/d24-sft-r6/model_000754.pt"])
def test_what_stands_there_is_never_written_over(hub, wanted, samosa_home, name):
    hub.add("models", REPO, FILES)
    mine = samosa_home / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(BadInput, match="is there and is not the file of the Hub"):
        fetch_checkpoint(wanted)
    assert mine.read_bytes() == b"mine" and not any("resolve" in line for line in hub.lines)


@pytest.mark.parametrize("gone", ["tokenizer/token_bytes.pt", "chatsft_checkpoints/d24-sft-r6/model_000754.pt"])
def test_what_the_repository_lacks_is_named(hub, wanted, gone):
    hub.add("models", REPO, {name: data for name, data in FILES.items() if name != gone})
    with pytest.raises(SamosaError, match=f"has no .*{gone.rsplit('/', 1)[1]}"):
        fetch_checkpoint(wanted)


def test_a_private_repository_asks_for_a_token(hub, wanted, monkeypatch):
    hub.add("models", REPO, FILES, access="private")
    with pytest.raises(NotReady, match="hidden from us without a token") as caught:
        fetch_checkpoint(wanted)
    assert "HF_TOKEN" in caught.value.hint and "samosa pull d24-sft-r6" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_right_token")
    fetch_checkpoint(wanted)
    assert wanted.ref.model_path.is_file()


def test_the_pickle_here_is_armed():
    with pytest.raises(pytest.fail.Exception):
        pickle.load(io.BytesIO(BOMB))
