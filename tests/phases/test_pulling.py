import json

import pytest

from samosa import cli
from samosa.config import Options
from samosa.data.sources.registry import known_sources
from samosa.errors import BadInput, NotReady
from samosa.phases import pulling
from samosa.phases.pulling import Asked
from tests.hub.test_fetch import FILES, REPO

ROADMAP_B = {"openr1-math": 50_000, "openthoughts": 50_000, "limo": 817, "openmathreasoning": 20_000}
ROADMAP_B |= {"numinamath-cot": 20_000}
ROADMAP_E = {"fineweb-edu": 10e9, "nemotron-math": 2e9, "codeparrot-python": 2e9, "open-web-math": 1e9}
ROADMAP_E |= {"wikipedia": 2e9, "gutenberg": 1.9e9}


def plan(capsys, *arguments):
    assert cli.main(["pull", "--plan", "--json", *arguments]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def test_the_plan_of_phase_b_has_the_roadmaps_rows(samosa_home, capsys):
    told, shown = plan(capsys, "--phase", "b")
    rows = {entry["name"]: entry["rows"] for entry in told["sources"]}
    assert {name: rows[name] for name in ROADMAP_B} == ROADMAP_B and 16_000 < rows["sky-t1"] < 17_500
    assert told["rows"] == sum(rows.values())
    for word in ("tokens", "download", "on disk", "licence", "apache-2.0", "GB free", "next: samosa pull --phase b"):
        assert word in shown


def test_the_plan_of_phase_e_has_the_roadmaps_tokens_and_names_substitutes(samosa_home, capsys):
    told, shown = plan(capsys, "--phase", "e")
    tokens = {entry["name"]: entry["tokens"] for entry in told["sources"]}
    assert {name: tokens[name] for name in ROADMAP_E} == pytest.approx(ROADMAP_E, rel=0.01)
    assert told["tokens"] == pytest.approx(19e9, rel=0.02)
    for name in ("stack-v2-python", "wikipedia-20250320", "redpajama-books"):
        assert name not in tokens and f"stands in for {name}: " in shown
    assert "nemotron-math: gated, it needs HF_TOKEN" in shown and "its substitute is finemath" in shown
    assert all(entry["license"] and entry["basis"] for entry in told["sources"])
    assert told["peak_bytes"] > told["bytes"] > 30e9


def test_the_plan_of_everything_leaves_out_who_only_stands_in(samosa_home, capsys):
    told, _ = plan(capsys)
    names = {entry["name"] for entry in told["sources"]}
    assert names == {name for name, source in known_sources().items() if not source.needs} - {"finemath"}


def test_a_plan_that_does_not_fit_says_so(samosa_home, capsys, monkeypatch):
    monkeypatch.setattr("samosa.home.free_space", lambda path: 10**9)
    _, shown = plan(capsys, "--phase", "e")
    assert "warning: it does not fit: " in shown


@pytest.mark.parametrize(
    ("asked", "says", "hint"),
    [
        (Asked(["wikipedea"]), "no source or tag is called wikipedea", "did you mean wikipedia?"),
        (Asked(["d24-sft-r5"]), "no source or tag is called d24-sft-r5", "did you mean d24-sft-r6?"),
        (Asked(["GAIR/LIMO"]), "no source or tag", "did you mean limo?"),
        (Asked(["qqqq"]), "no source or tag", "have: openr1-math, "),
        (Asked(["d24"], "source"), "no source is called d24", ""),
        (Asked(["limo"], "tag"), "no tag is called limo", "d24"),
        (Asked(["d24@17"]), "no source or tag is called d24@17", ""),
        (Asked(phase="z"), "no source belongs to phase z", "b, c, d, e"),
        (Asked(), "pull needs a name, or a phase", "samosa pull --plan"),
        (Asked(["d24"], rows=5), "is pulled whole", "--rows and --seed are for sources"),
        (Asked(["limo"], optimizer=True), "has no optimizer", "for checkpoints"),
    ],
)
def test_names_and_flags_that_mean_nothing_are_told_so(samosa_home, asked, says, hint):
    with pytest.raises(BadInput) as caught:
        pulling.run(Options(), asked)
    assert says in caught.value.message and hint in caught.value.hint


def test_a_name_that_both_registries_know_has_to_say_which(samosa_home, monkeypatch):
    both = {**known_sources(), "d24": known_sources()["limo"]}
    monkeypatch.setattr(pulling, "known_sources", lambda: both)
    with pytest.raises(BadInput, match="d24 is a source and a tag") as caught:
        pulling.run(Options(), Asked(["d24"]))
    assert caught.value.hint == "samosa pull d24 --source, or samosa pull d24 --tag" and caught.value.exit_code == 2
    assert pulling._named("d24", "source").source and pulling._named("d24", "tag").checkpoint
    assert cli.main("pull d24 --source --tag".split()) == 2


@pytest.mark.parametrize("name", [name for name, source in known_sources().items() if source.needs])
def test_what_cannot_be_pulled_says_what_it_needs_and_offers_another(samosa_home, name):
    with pytest.raises(NotReady) as caught:
        pulling.run(Options(), Asked([name]))
    source = known_sources()[name]
    assert caught.value.message == f"{name} cannot be pulled: {source.needs}"
    assert caught.value.hint == f"samosa pull {source.substitute}" and caught.value.exit_code == 3


def test_a_gate_is_found_before_anything_is_fetched(samosa_home, hub):
    with pytest.raises(NotReady, match="nemotron-math is gated") as caught:
        pulling.run(Options(), Asked(["limo", "nemotron-math"]))
    assert "HF_TOKEN" in caught.value.hint and "samosa pull finemath" in caught.value.hint
    assert hub.lines == []


def test_a_tag_is_pulled_into_the_home_and_the_next_command_is_named(samosa_home, hub, capsys):
    hub.add("models", REPO, FILES)
    assert cli.main(["pull", "d24-sft-r6", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["pulled"][0]["checkpoint"] == "d24-sft-r6@754"
    assert captured.err.endswith("next: samosa chat --tag d24-sft-r6@754\n")
    assert (samosa_home / "chatsft_checkpoints/d24-sft-r6/model_000754.pt").is_file()


@pytest.mark.soak
def test_a_source_is_pulled_into_the_home_and_planned_with_its_own_figures(samosa_home, hub, capsys):
    rows = [{"question": "6*7?", "solution": "Six sevens.", "answer": "42"}] * 9
    hub.add("datasets", "GAIR/LIMO", {"limo.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()})
    assert cli.main(["pull", "limo", "--rows", "4", "--seed", "1"]) == 0
    assert "✓ limo: 4 of 9 rows" in (shown := capsys.readouterr().err)
    file = samosa_home / "data/limo/limo.jsonl"
    assert shown.endswith(f"next: samosa filter {file} --rules reasoning\n") and len(file.read_text().splitlines()) == 4
    told, shown = plan(capsys, "limo", "--rows", "4", "--seed", "1")
    assert told["sources"][0]["pulled"] and told["rows"] == 4 and "was pulled" in shown
