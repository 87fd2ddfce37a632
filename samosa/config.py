"""Recipes: TOML files layered into frozen models that know every key, so that a typo ends before anything is spent."""

import ast
import difflib
import inspect
import itertools
import json
import os
import re
import textwrap
import tomllib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from samosa.errors import BadInput

R = TypeVar("R", bound="Recipe")
Location = tuple[int | str, ...]
"""Keys and list positions from the top of a recipe down to a value."""

EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "path_type": "a path",
    "none_required": "nothing",
}
"""What pydantic's error types ask for, in the words of TOML."""


class Recipe(pydantic.BaseModel):
    """The base of every section of a recipe: frozen, refuses unknown keys; the docstring under a field describes it.

    Values live in configs/*.toml and nowhere else; `X | None = None` may stand here, where absence means something.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The merged values with what follows from others among them; they are not validated yet."""
        return values


@dataclass(frozen=True)
class Options:
    """What a person may say to any command on the command line."""

    recipe: str | None = None
    """A folder of configs/, or a path to a TOML file."""
    sets: tuple[str, ...] = ()
    """`key=value`, each overruling the recipe."""
    tag: str | None = None
    nproc: int | None = None
    """How many processes (one per GPU) train."""
    plan: bool = False
    """Show the plan and stop."""
    until: str | None = None
    """The last stage to run."""
    start: str | None = None
    """The first stage to run; the ones before it must have run already."""
    redo: bool = False
    """Run again what has run, paid stages included."""
    profile: bool = False
    """Look at some steps of the training instead of carrying it out."""
    json: bool = False
    verbose: int = 0
    detach: bool = False
    """Go on without this terminal."""
    max_restarts: int = 0
    """How often training starts again from the last checkpoint when one of its processes dies."""
    nnodes: int = 1
    """Machines that train together, of which this is number `node_rank`; they meet at `rdzv`, HOST:PORT of number 0."""
    node_rank: int = 0
    rdzv: str | None = None
    argv: tuple[str, ...] = field(default=(), compare=False)
    """The command line itself: the same options may be said in several ways."""


@dataclass(frozen=True)
class Layer:
    """One source of values: a file, or one --set."""

    name: str
    """What an error calls it."""
    values: dict[str, Any]


def configs_dir() -> Path:
    """configs/ of the checkout, or the copy that the wheel carries inside the package."""
    package = Path(__file__).parent
    checkout = package.parent / "configs"
    return checkout if (checkout / "base.toml").is_file() else package / "configs"


def read_layers(command: str, recipe: str | None, sets: Sequence[str]) -> dict[str, Any]:
    """The values of base.toml < what the recipe extends < the recipe < --set, merged: tables merge, lists replace.

    `command` is a file stem such as "phase_a". `recipe` is None for configs/<command>.toml, a name for
    configs/<name>/<command>.toml, or the path of a TOML file. Raises BadInput for what cannot be found or read.
    """
    return _merged(_layers(command, recipe, sets))


def load(schema: type[R], command: str, *, recipe: str | None = None, sets: Sequence[str] = ()) -> R:
    """The recipe as a frozen `schema`. Raises BadInput naming the file (or --set), the key and what was expected.

    Nothing is converted: text is no number and a number no text. Keys of base.toml that `schema` does not have are
    left out, because they are for other commands.
    """
    base, *rest = _layers(command, recipe, sets)
    layers = [Layer(base.name, _known_only(base.values, schema)), *rest]
    try:
        # Strict JSON mode: lists may become tuples and text paths, and nothing else changes its type.
        return schema.model_validate_json(json.dumps(schema.completed(_merged(layers)), default=str), strict=True)
    except pydantic.ValidationError as error:
        # An unknown key first: the key that was meant is then missing as well, and says less.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise _complaint(details[0], schema, command, layers) from None


def _layers(command: str, recipe: str | None, sets: Sequence[str]) -> list[Layer]:
    base = configs_dir() / "base.toml"
    return [Layer(_shown(base), _read(base)), *_extended(_recipe_path(command, recipe)), *map(_set_layer, sets)]


def _recipe_path(command: str, recipe: str | None) -> Path:
    if recipe is not None and not recipe.strip("./ "):
        raise BadInput(f"-r {recipe!r} names no recipe", hint="leave -r out for the full recipe, or name one: -r tiny")
    if recipe is None:
        path = configs_dir() / f"{command}.toml"
    elif recipe.endswith(".toml") or "/" in recipe:
        path = Path(recipe).expanduser()
    else:
        path = configs_dir() / recipe / f"{command}.toml"
    if not path.is_file():
        names = sorted(found.parent.name for found in configs_dir().glob(f"*/{command}.toml"))
        have = f"have: {', '.join(f'-r {name}' for name in names)}" if names else "give the path of a TOML file"
        whole = "leave -r out for the full recipe; " if recipe and (configs_dir() / f"{command}.toml").is_file() else ""
        raise BadInput(f"there is no recipe {recipe or command} for {command}: {_shown(path)}", hint=whole + have)
    return path


def _extended(path: Path, above: tuple[Path, ...] = ()) -> list[Layer]:
    """The file's layer, after the layers it extends: a file beside it, or else one in configs/."""
    if path.resolve() in above:
        raise BadInput(f"{_shown(path)} extends itself", hint="point `extends` at another recipe")
    values = _read(path)
    named = values.pop("extends", None)
    own = Layer(_shown(path), values)
    if named is None:
        return [own]
    if not isinstance(named, str):
        raise BadInput(
            f"{own.name}: extends: expected the name of one recipe", hint='write extends = "../phase_a.toml"'
        )
    file = f"{named.removesuffix('.toml')}.toml"
    places = [Path(os.path.normpath(folder / file)) for folder in (path.parent, configs_dir())]
    for place in places:
        if place.is_file() and place.resolve() != path.resolve():
            return [*_extended(place, (*above, path.resolve())), own]
    raise BadInput(
        f"{own.name}: extends {named!r}, which does not exist", hint=f"looked at {', '.join(map(_shown, places))}"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)", str(error))
        what = str(error).replace(where[0], "") if where else str(error)
        line = f":{where[1]}" if where and where[1] else " (at its end)"
        raise BadInput(
            f"{_shown(path)}{line}: {what}", hint='this is not TOML; text needs quotes: name = "text"'
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{_shown(path)} is not UTF-8 text", hint="save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{_shown(path)} cannot be read: {error.strerror}", hint="look at its permissions") from None


def _set_layer(text: str) -> Layer:
    key, equals, value = text.partition("=")
    try:
        nested = tomllib.loads(f"{key} = 0") if equals and "\n" not in key else {}
    except tomllib.TOMLDecodeError:
        nested = {}
    if not nested or "#" in key:
        raise BadInput(f"--set {text}: expected key=value", hint="write it like --set train.seed=7")
    inner = nested
    path = []
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        path.append(name)
    built: Any = _set_value(text, value.strip())
    for name in reversed(path):
        built = {name: built}
    return Layer("--set", built)


def _set_value(text: str, value: str) -> Any:
    """A TOML value where it is one, and otherwise the text itself, so that a tag needs no quotes."""
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError as error:
        if value[:1] in ('"', "'", "[", "{"):
            what = re.sub(r"\s*\(at .*\)$", "", str(error))
            raise BadInput(f"--set {text}: {what}", hint="close what is open, and quote it for the shell") from None
        return value
    found = parsed.get("value")
    if len(parsed) > 1 or not isinstance(found, bool | int | float | str | list | dict):
        return value  # more than one line, or a date: neither is what was typed
    if "#" in value and not isinstance(found, str | list | dict):
        return value  # TOML would take the rest for a comment
    return found


def _merged(layers: Sequence[Layer]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer.values)
    return merged


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _known_only(values: dict[str, Any], schema: type[Recipe]) -> dict[str, Any]:
    """Without the keys that `schema`, at any depth, does not have."""
    kept = {}
    for key, value in values.items():
        if key not in schema.model_fields:
            continue
        sections = list(_sections(schema.model_fields[key].annotation))
        kept[key] = _known_only(value, sections[0]) if len(sections) == 1 and isinstance(value, dict) else value
    return kept


def _complaint(detail: Any, schema: type[Recipe], command: str, layers: Sequence[Layer]) -> BadInput:
    """What pydantic found wrong first, told as a person would: where, which key, what was expected, what was given."""
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(schema, location, command, layers)
    if kind == "missing":
        recipe = next(layer for layer in reversed(layers) if layer.name != "--set")
        hint = (
            _description(schema, location)
            or f"add {location[-1]} = ... to the recipe, or --set {_dotted(location)}=..."
        )
        return BadInput(f"{recipe.name}: {_dotted(location)} is missing", hint=hint)
    path, layer = _origin(location, layers)
    if kind in ("value_error", "assertion_error"):
        what = str(detail["ctx"]["error"])
        hint = "change one of them in the recipe, or with --set"
        return BadInput(f"{_place(layer, path)}: {what}" if path else f"{layer.name}: {what}", hint=hint)
    given = json.dumps(detail["input"], ensure_ascii=False, default=str)
    given = given if len(given) <= 60 else given[:57] + "..."
    hint = _description(schema, location) or "correct it in the recipe, or with --set"
    if kind == "string_type" and layer.name == "--set":
        hint = f"quote it for TOML and for the shell: --set '{_dotted(path)}=\"{given}\"'"
    return BadInput(f"{_place(layer, path)}: expected {_expected(detail)}, got {given}", hint=hint)


def _unknown_key(schema: type[Recipe], location: Location, command: str, layers: Sequence[Layer]) -> BadInput:
    key = str(location[-1])
    path, layer = _origin(location, layers)
    parent = _dotted(path[:-1]) or command
    names = [name for section in _schemas_at(schema, location[:-1]) for name in section.model_fields]
    close = difflib.get_close_matches(key, names, n=1) or list(_places_of(key, schema))[:1]
    hint = f"did you mean {close[0]}?" if close else f"{parent} has {', '.join(names)}"
    return BadInput(f"{_place(layer, path)}: {key} is not a known key of {parent}", hint=hint)


def _expected(detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    limits = {"greater_than": "above {gt}", "greater_than_equal": "of at least {ge}"}
    limits |= {"less_than": "below {lt}", "less_than_equal": "of at most {le}"}
    if kind in limits:
        return f"a number {limits[kind].format(**context)}"
    if kind in ("literal_error", "enum"):
        return f"one of {context['expected']}"
    return EXPECTED.get(kind) or f"something else ({detail['msg']})"


def _origin(location: Location, layers: Sequence[Layer]) -> tuple[Location, Layer]:
    """The path of a value within the files, and the topmost layer that says it."""
    found = [(path, layer) for layer in layers if (path := _within(layer.values, location))]
    if not found:
        return (), next(layer for layer in reversed(layers) if layer.name != "--set")
    longest = max(len(path) for path, _ in found)
    return next((path, layer) for path, layer in reversed(found) if len(path) == longest)


def _within(values: Any, location: Location) -> Location:
    """As much of `location` as leads into `values`; pydantic also names the members of a union in it."""
    path: list[int | str] = []
    for piece in location:
        inside = (
            piece in values if isinstance(values, dict) else isinstance(values, list) and piece in range(len(values))
        )
        if inside:
            values = values[piece]
            path.append(piece)
    return tuple(path)


def _place(layer: Layer, path: Location) -> str:
    return f"--set {_dotted(path)}" if layer.name == "--set" else f"{layer.name}: {_dotted(path)}"


def _dotted(path: Location) -> str:
    return "".join(f"[{piece}]" if isinstance(piece, int) else f".{piece}" for piece in path).removeprefix(".")


def _shown(path: Path) -> str:
    """A path as the person would write it: a recipe of ours from configs/ on, any other as it was given."""
    return str(Path("configs") / path.relative_to(configs_dir())) if path.is_relative_to(configs_dir()) else str(path)


def _sections(annotation: Any) -> Iterator[type[Recipe]]:
    """The Recipe classes in a field's type: through X | None, lists, tables and annotations."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, Recipe):
            yield annotation
        return
    for inner in typing.get_args(annotation):
        yield from _sections(inner)


def _schemas_at(schema: type[Recipe], location: Location) -> list[type[Recipe]]:
    """The sections that a value at `location` may be; more than one where a field takes a union of them."""
    schemas = [schema]
    for piece in location:
        named = [s for s in schemas if s.__name__ == piece]
        fields = [s.model_fields[piece] for s in schemas if isinstance(piece, str) and piece in s.model_fields]
        if fields:
            schemas = [section for field in fields for section in _sections(field.annotation)]
        elif named:
            schemas = named
    return schemas


def _places_of(key: str, schema: type[Recipe], above: str = "") -> Iterator[str]:
    """The dotted places where a section below has a field of exactly this name."""
    for name, knob in schema.model_fields.items():
        if name == key and above:
            yield above + name
        for section in _sections(knob.annotation):
            yield from _places_of(key, section, f"{above}{name}.")


def description(section: type[Recipe], key: str) -> str | None:
    """The docstring under a field; None where it has none, or Python was installed without sources. It is read when it
    is asked for: pydantic's use_attribute_docstrings reads those of every recipe at every start, which is slow.
    """
    owner = next((base for base in section.__mro__ if key in vars(base).get("__annotations__", {})), None)
    if owner is None:
        return None
    try:
        (found,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    except OSError:
        return None
    assert isinstance(found, ast.ClassDef), "the source of a class"
    for statement, after in itertools.pairwise(found.body):
        match statement, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))) if name == key:
                return inspect.cleandoc(said)
    return None


def _description(schema: type[Recipe], location: Location) -> str | None:
    for section in _schemas_at(schema, location[:-1]):
        if location[-1] in section.model_fields:
            return description(section, str(location[-1]))
    return None
