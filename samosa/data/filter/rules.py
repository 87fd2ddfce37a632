"""Rules as data: what a TOML file of rules says, read and checked."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from samosa.config import Recipe, configs_dir, load
from samosa.errors import BadInput

ENGINE = "2"  # part of every key: raise it when a built-in, a mask or the reading of rows decides otherwise

Example = str | dict[str, Any] | list[dict[str, Any]]
"""An answer to "hi", or a whole row of any layout."""


class Rule(Recipe):
    """One reason to reject a row, by a pattern or by a built-in."""

    name: str
    """What reports call it."""
    version: PositiveInt
    """Raised when it decides otherwise."""
    scope: Literal["assistant prose", "assistant all", "any prose", "any all"]
    """Whose words it reads, and whether code and invisible characters among them are hidden from it (prose)."""
    pattern: str | None = None
    """What must not be found, in RE2 syntax (\\s, \\w and \\b know ASCII only). It may be broken into lines, whose ends
    and indentation do not count. Where it has groups, the one that matched is what is shown."""
    flags: str | None = None
    """The flags of `pattern` and `unless`, any of i, m and s; "" for none. Said whenever there is a pattern."""
    unless: str | None = None
    """A match of `pattern` that begins inside a match of this does not count."""
    engine: Literal["regex"] | None = None
    """Match by the `regex` package, for back-references; absent, RE2, which takes linear time."""
    timeout: PositiveFloat | None = None
    """Seconds that `regex` may take for a text; running out of them is a reason of its own."""
    builtin: str | None = None
    """Instead of a pattern, the name of a built-in."""
    args: dict[str, bool | int | float | str] | None = None
    """What the built-in is told."""
    why: str
    """One sentence: what is wrong with a row that breaks it."""
    good: list[Example]
    """Rows it lets pass."""
    bad: list[Example]
    """Rows it rejects."""


class RuleFile(Recipe):
    """A file of rules."""

    version: PositiveInt
    about: str
    """What the rules are for, in a sentence."""
    joined: bool
    """Read the answers of a row as one text, a line break between them, instead of one by one."""
    include: list[str] | None = None
    """Other rule sets whose rules come first."""
    rule: list[Rule]


@dataclass(frozen=True)
class RuleSet:
    """Rules that are applied together; pickles small, and compiles once in every process."""

    name: str
    version: NonNegativeInt
    about: str
    joined: bool
    rules: tuple[Rule, ...]

    @cached_property
    def key(self) -> str:
        """SHA-256 of what decides: equal keys keep and reject the same rows, for the same reasons."""
        deciding = [rule.model_dump(exclude={"why", "good", "bad"}) for rule in self.rules]
        return hashlib.sha256(json.dumps([ENGINE, self.joined, deciding]).encode()).hexdigest()

    def rule(self, name: str) -> Rule:
        """One of the rules. Raises BadInput naming those there are."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        names = ", ".join(rule.name for rule in self.rules)
        raise BadInput(f"there is no rule {name!r} in {self.name}", hint=f"one of: {names}")


def shipped() -> list[str]:
    """The names of the rule sets in configs/rules."""
    return sorted(path.stem for path in (configs_dir() / "rules").glob("*.toml"))


def load_rules(name_or_path: str | Path) -> RuleSet:
    """The rule set of configs/rules/<name>.toml or of a TOML file, ready to compile.

    Raises BadInput for a name that is none, a file that cannot be read, an unknown key, a rule that says too much or
    too little, a pattern that does not compile (with RE2's reason), a name used twice, and, of a file, a rule that
    decides its own examples otherwise.
    """
    from samosa.data.filter.matcher import compiled

    rules = _read(str(name_or_path), ())
    compiled(rules)
    if _is_path(str(name_or_path)):  # the shipped sets are tested
        for rule in rules.rules:
            _check_examples(replace(rules, rules=(rule,)), rule)
    return rules


def _read(name: str, above: tuple[str, ...]) -> RuleSet:
    is_path = _is_path(name)
    if not is_path and name not in shipped():
        raise BadInput(f"there is no rule set {name}", hint=f"sets: {', '.join(shipped())}; or the path of a TOML file")
    if is_path and not Path(name).expanduser().is_file():
        raise BadInput(f"{name}: no such file", hint=f"name a TOML file of rules, or a set: {', '.join(shipped())}")
    if name in above:
        raise BadInput(f"rules {name} include themselves", hint="take it out of `include`")
    file = load(RuleFile, "rules", recipe=name if is_path else str(configs_dir() / "rules" / f"{name}.toml"))
    rules = [rule for other in file.include or [] for rule in _read(_beside(other, name), (*above, name)).rules]
    rules += file.rule
    for rule in file.rule:
        _check(rule, name)
    names = [rule.name for rule in rules]
    if twice := [n for n in names if names.count(n) > 1]:
        raise BadInput(f"rules {name}: {twice[0]} stands there twice", hint="give one of them another name")
    stem = Path(name).stem if is_path else name
    return RuleSet(stem, file.version, file.about, file.joined, tuple(rules))


def _is_path(name: str) -> bool:
    return name.endswith(".toml") or "/" in name


def _beside(other: str, name: str) -> str:
    """A path in `include` starts at the file that says it."""
    return str(Path(name).expanduser().parent / other) if other.endswith(".toml") else other


def _check(rule: Rule, name: str) -> None:
    """Raise BadInput for a rule that says too much or too little."""
    where = f"rules {name}: {rule.name}"
    if (rule.pattern is None) == (rule.builtin is None):
        raise BadInput(
            f"{where} needs a pattern or a builtin, and not both", hint="pattern = '...' or builtin = \"...\""
        )
    if rule.builtin is not None and (rule.flags or rule.unless or rule.engine):
        raise BadInput(f"{where}: flags, unless and engine are for patterns", hint="a builtin takes args = { ... }")
    if rule.pattern is not None and (rule.flags is None or set(rule.flags) - set("ims")):
        raise BadInput(f"{where} does not say its flags", hint='flags = "i" (case), "m" (^ and $ at lines), "s", or ""')
    if rule.pattern is not None and rule.args:
        raise BadInput(f"{where}: args are for builtins", hint="write what you mean into the pattern")
    if (rule.engine is None) != (rule.timeout is None):
        raise BadInput(f"{where}: engine and timeout go together", hint='engine = "regex" and timeout = 0.1 (seconds)')


def _check_examples(alone: RuleSet, rule: Rule) -> None:
    """Raise BadInput where a rule rejects what it calls good, or keeps what it calls bad."""
    from samosa.data.filter.sorting import judge

    for example, is_bad in [*((good, False) for good in rule.good), *((bad, True) for bad in rule.bad)]:
        asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": example}]
        shown = json.dumps(example, ensure_ascii=False)[:80]
        try:
            rejected = bool(judge(alone, asked if isinstance(example, str) else example))
        except ValueError as error:
            raise BadInput(f"rule {rule.name}: the example {shown} is no row: {error}", hint=_EXAMPLES) from None
        if rejected != is_bad:
            does, calls = ("rejects", "good") if rejected else ("keeps", "bad")
            raise BadInput(f"rule {rule.name} {does} its {calls} example {shown}", hint=_EXAMPLES)


_EXAMPLES = "good and bad are what a rule is tested by: mend the rule, or the example"
