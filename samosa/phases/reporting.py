"""`samosa report`: one page about a run, from what lies in the home; nothing is run."""

from collections.abc import Sequence
from pathlib import Path

from samosa import console, home
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady
from samosa.eval import criteria, guards, history
from samosa.eval.criteria import Criterion
from samosa.eval.history import Line
from samosa.eval.report import curves, samples
from samosa.eval.report.facts import Comparand, Lineage, Missing
from samosa.eval.report.page import Subject, write
from samosa.eval.report.scores import SUITES
from samosa.eval.settings import Criteria, FullEvaluation
from samosa.home import CheckpointRef
from samosa.phases.lineage import lineage

FILE = "report.html"


def run(options: Options) -> int:
    """Write runs/<tag>/report.html about `options.tag`, or about the run that was touched last; always 0.

    Raises BadInput for a tag of which nothing is known here.
    """
    settings = load(FullEvaluation, "full", recipe=options.recipe, sets=options.sets)
    subject = about(options.tag or _latest(), settings)
    path = home.run_dir(subject.tag) / FILE
    write(path, subject)
    missing = {part: [vars(one) for one in gaps] for part, gaps in subject.missing.items() if gaps}
    if options.json:
        console.emit_json({"tag": subject.tag, "name": subject.name, "report": str(path), "missing": missing})
    for gap in dict.fromkeys(gap for gaps in subject.missing.values() for gap in gaps):
        parts = ", ".join(part for part, gaps in subject.missing.items() if gap in gaps)
        console.say(f"  {parts}: {gap.what}")
    console.say(f"report: {path}")
    console.say(f"next: {_next(subject)}")
    return 0


def _next(subject: Subject) -> str:
    """The command that makes what is missing, if one does; else a look at the model."""
    commands = [gap.command for gaps in subject.missing.values() for gap in gaps]
    look = f"samosa chat --tag {subject.name}" if subject.lines else f"samosa inspect {subject.name}"
    return next((command for command in commands if command.startswith("samosa ")), look)


def about(name: str, settings: FullEvaluation) -> Subject:
    """Gather what is known of `tag` or `tag@step`. Raises BadInput where that is nothing."""
    tag, ref = _checkpoint(name)
    own = ref.name if ref is not None else tag
    metrics = curves.read(home.run_dir(tag) / "metrics.jsonl")
    kept = history.lines()
    lines, gap = _judged(tag, ref, kept)
    ancestry = lineage(tag, ref)
    if ref is None and not lines and not metrics.steps and not ancestry.nodes:
        raise BadInput(f"nothing is known of {name} here", hint=_have())
    asked = _samples_of(lines)
    comparand, shared = _comparand(own, asked, ancestry, settings.full.champion)
    before, after = samples.read([old for old, _ in shared]), samples.read(asked)
    confidence = settings.criteria.confidence
    goals, unknown = _goals(lines, settings.criteria)
    tags = [*(node.name.split("@")[0] for node in ancestry.nodes), tag]
    order = list(dict.fromkeys([comparand.name.split("@")[0], *tags] if comparand.name else tags))
    subject = Subject(
        tag=tag,
        name=history.label(lines[-1]) if lines else own,
        metrics=metrics,
        lines=lines,
        record=_standing([line for line in kept if line["tag"] in order]),
        order=order,
        lineage=ancestry,
        before=before,
        after=after,
        comparand=comparand,
        change=samples.comparison(before, after, confidence=confidence),
        confidence=confidence,
        goals=goals,
    )
    subject.missing.update(_gaps(subject, ref, [*gap, *unknown]))
    return subject


def _checkpoint(name: str) -> tuple[str, CheckpointRef | None]:
    """The tag, and its checkpoint if it is here. Raises BadInput for what is no name, and for a step that is not."""
    match = home.NAME.fullmatch(name)
    if match is None or home.TAG.fullmatch(match["tag"]) is None:
        raise BadInput(f"{name!r} is not the name of a checkpoint", hint="write tag or tag@step")
    if not any(home.list_checkpoints(kind, match["tag"]) for kind in home.FOLDERS):
        return match["tag"], None
    return match["tag"], home.find_checkpoint(name)


def _latest() -> str:
    """The tag of the run that was written to last."""
    touched = {tag: max(path.stat().st_mtime for path in _written(tag)) for tag in _runs_here()}
    if not touched:
        raise BadInput("there are no runs here to report on", hint=_have())
    return max(touched, key=lambda tag: (touched[tag], tag))


def _runs_here() -> list[str]:
    """The tags that something was trained or judged under."""
    folder = home.root() / "runs"
    tags = sorted(path.name for path in folder.iterdir() if home.TAG.fullmatch(path.name)) if folder.is_dir() else []
    return [tag for tag in tags if _written(tag)]


def _written(tag: str) -> list[Path]:
    directory = home.run_dir(tag)
    found = [directory / "run.json", directory / "metrics.jsonl", *directory.glob("eval/*.jsonl")]
    return [path for path in found if path.is_file()]


def _have() -> str:
    tags = _runs_here()
    return f"have: {', '.join(tags)}" if tags else f"samosa phase-a -r tiny makes one   (none are in {home.root()})"


def _judged(tag: str, ref: CheckpointRef | None, kept: Sequence[Line]) -> tuple[list[Line], list[Missing]]:
    """The evaluations of the checkpoint; where it has none those of the tag's last judged weights, and a note."""
    own = [line for line in kept if line["tag"] == tag and (ref is None or line.get("kind") == ref.kind)]
    if not own:
        return [], []
    if ref is None or any(line.get("step") == ref.step for line in own):
        return _standing(history.of(tag if ref is None else f"{ref.kind}/{ref.name}")), []
    lines = _standing(history.of(f"{ref.kind}/{tag}"))
    note = f"{ref.name} was not judged yet: everything about answers below is of {history.label(lines[-1])}"
    return lines, [Missing(note, f"samosa eval --tag {ref.name}")]


def _standing(lines: Sequence[Line]) -> list[Line]:
    """Those whose samples no later evaluation has written over: asking the same again counts once."""
    last = {line.get("samples"): line for line in lines}
    return [line for line in lines if "samples" not in line or line is last[line["samples"]]]


def _asks(line: Line) -> bool:
    return line.get("suite") in SUITES and "samples" in line


def _samples_of(lines: Sequence[Line]) -> list[Line]:
    """The evaluations whose samples are shown: those of the full suite, or without one of the joint suite."""
    suite = next((name for name in SUITES if any(line["suite"] == name for line in lines if _asks(line))), None)
    return [line for line in lines if _asks(line) and line["suite"] == suite]


def _comparand(
    own: str, asked: Sequence[Line], ancestry: Lineage, champion: str
) -> tuple[Comparand, list[tuple[Line, Line]]]:
    """What to compare with: the champion, else the nearest ancestor, that was asked the same. And those evaluations."""
    parents = [node.name for node in reversed(ancestry.nodes[:-1])]
    candidates = [(champion, "the champion")] if champion and champion != own.split("@")[0] else []
    candidates += [(parent, "which it was trained from") for parent in parents]
    for name, why in candidates:
        try:
            theirs = history.of(name)
        except BadInput:
            continue
        shared = history.shared([line for line in _standing(theirs) if _asks(line)], asked)
        if shared:
            return Comparand(history.label(shared[-1][0]), why), shared
    if not asked or not candidates:
        return Comparand(), []
    name, last = candidates[0][0], asked[-1]
    again = f"samosa eval --tag {name} --suite {last['suite']} --seed {last['seed']}"
    what = f"there is no before: {name} was not asked the same (samosa compare {name} {own} says what differs)"
    return Comparand(missing=Missing(what, again)), []


def _goals(lines: Sequence[Line], wanted: Criteria) -> tuple[list[Criterion], list[Missing]]:
    if not any(_asks(line) for line in lines):
        return [], []
    try:
        return criteria.judge(history.label(lines[-1]), lines, wanted), []
    except NotReady as problem:
        return [], [Missing.of(problem)]


def _gaps(subject: Subject, ref: CheckpointRef | None, gate: list[Missing]) -> dict[str, list[Missing]]:
    """What each section lacks, with the command that makes it; in the order of the page."""
    name, base = subject.name, ref is not None and ref.kind == "base"
    ask = f"samosa eval --tag {name} --suite {'core' if base else 'full'}"
    suites = {line["suite"] for line in subject.lines}
    unasked = [] if suites & set(SUITES) else [Missing(f"{name} was asked nothing yet", ask)]
    if base:
        gate = [] if subject.lines else [Missing(f"{name} is a base model that was not judged yet", ask)]
        unasked = [Missing("a base model holds no conversations, so none are asked of it", "")]
    elif unasked:
        gate = unasked
    elif "full" not in suites:
        gate = [*gate, Missing("the full suite was not asked yet", ask)]
    problems = [Missing.of(one) for one in (*subject.after.problems, *subject.before.problems)]
    return {
        "training": _no_training(subject),
        "gate": gate,
        "categories": unasked,
        "turns": unasked or [Missing.of(one) for one in subject.after.problems],
        "manner": unasked or _no_manner(subject, ask),
        "samples": unasked or problems or ([subject.comparand.missing] if subject.comparand.missing else []),
        "cost": _no_dollars(subject),
        "lineage": [] if subject.lineage.nodes else [Missing(f"runs/{subject.tag}/run.json is not here", "")],
    }


def _no_training(subject: Subject) -> list[Missing]:
    path = home.run_dir(subject.tag) / "metrics.jsonl"
    if not subject.metrics.steps:
        return [Missing(f"{path} is not here: copy runs/{subject.tag} from where it was trained", "")]
    if subject.metrics.bpb is None:
        return [
            Missing("nothing was validated on the way", f"samosa sft --tag {subject.tag} --set train.eval_every=50")
        ]
    return []


def _no_manner(subject: Subject, ask: str) -> list[Missing]:
    if any(one.one.category in guards.CATEGORIES for one in subject.after.told) or not subject.after.told:
        return []
    return [Missing("nothing was asked that is answered freely", ask)]


def _no_dollars(subject: Subject) -> list[Missing]:
    if not subject.lineage.nodes or any(node.dollars is not None for node in subject.lineage.nodes):
        return []
    return [Missing("no run knew a price, so no dollars were counted", "--set estimates.dollars_per_gpu_hour=2.5")]
