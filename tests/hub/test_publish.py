import json

import pytest

from samosa import home
from samosa.errors import BadInput, NotReady
from samosa.home import CheckpointRef
from samosa.hub.publish import Card, model_card, publish

CARD = Card(
    what="A small model.",
    lineage=["tiny@200", "tiny-r6@40", "tiny-r7@60"],
    gate=[{"pattern": "search", "passed": "103 of 103"}, {"pattern": "calculator|sum", "passed": "101 of 103"}],
    verdict="ship",
    mix=[{"source": "joint", "repeat": 6}],
    evaluation={"seed": 7, "passed": True},
)


@pytest.fixture
def checkpoint(samosa_home):
    ref = CheckpointRef("chat", "tiny-r7", 60, home.checkpoint_dir("chat", "tiny-r7"))
    tokenizer = home.tokenizer_dir()
    for path, text in [
        (ref.model_path, "weights"),
        (ref.meta_path, "{}"),
        (ref.manifest_path, "{}"),
        (tokenizer / "tokenizer.pkl", "ranks"),
        (tokenizer / "token_bytes.pt", "bytes"),
    ]:
        home.write_atomic(path, text)
    return ref


def release(ref, **changes):
    options = {"tokenizer": home.tokenizer_dir(), "to": home.root() / "releases", "card": CARD, "gate_code": 0}
    return publish(ref, **{**options, **changes})


def test_a_release_is_a_home_of_its_own(checkpoint, monkeypatch):
    made = release(checkpoint)
    assert made.new
    assert checkpoint.keep_path.read_text() == f"released to {made.directory}\n"
    monkeypatch.setenv("SAMOSA_HOME", str(made.directory))
    assert home.find_checkpoint("tiny-r7").model_path.read_text() == "weights"
    assert (home.tokenizer_dir() / "tokenizer.pkl").read_text() == "ranks"


def test_releasing_the_same_weights_again_changes_nothing(checkpoint):
    first = release(checkpoint)
    before = {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")}
    assert not release(checkpoint).new
    assert {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")} == before


def test_another_release_under_the_same_tag_is_refused(checkpoint):
    made = release(checkpoint)
    home.write_atomic(checkpoint.model_path, "other weights")
    with pytest.raises(BadInput, match="never changes") as caught:
        release(checkpoint)
    assert "--tag tiny-r7b" in caught.value.hint
    assert next(made.directory.rglob("model_*.pt")).read_text() == "weights"


@pytest.mark.parametrize("code", [10, 20, 30])
def test_nothing_is_released_that_did_not_pass(checkpoint, code):
    with pytest.raises(BadInput, match="gate"):
        release(checkpoint, gate_code=code)
    assert not (home.root() / "releases").exists()


def test_a_release_that_cannot_be_whole_does_not_appear(checkpoint):
    (home.tokenizer_dir() / "token_bytes.pt").unlink()
    with pytest.raises(NotReady, match="token_bytes"):
        release(checkpoint)
    assert not (home.root() / "releases").exists()


def test_no_room_leaves_no_release(checkpoint, monkeypatch):
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 3})())
    with pytest.raises(NotReady):
        release(checkpoint)
    assert not (home.root() / "releases" / "tiny-r7").exists()


def test_the_card_holds_gate_lineage_mix_and_record(checkpoint):
    text = (release(checkpoint).directory / "README.md").read_text()
    assert text.startswith("---\nlanguage: en\n")
    assert text == model_card("tiny-r7@60", CARD)
    assert "tiny@200 → tiny-r6@40 → tiny-r7@60" in text
    assert "| search | 103 of 103 |" in text
    assert "| calculator\\|sum | 101 of 103 |" in text
    assert "| joint | 6 |" in text
    assert "Verdict: **ship**" in text
    assert json.loads(text.split("```json\n")[1].split("```")[0]) == CARD.evaluation
