"""Whether a file still has the columns that its mapper reads."""

from typing import Any

import pyarrow as pa

from samosa.errors import BadInput


def check_columns(schema: pa.Schema, expected: dict[str, Any], *, where: str) -> None:
    """Raise BadInput, naming the column, where `schema` lacks one of `expected` or has it with another type.

    Fields that a record has beyond those expected are no matter, and neither are further columns.
    """
    for name, kind in expected.items():
        if name not in schema.names:
            raise BadInput(
                f"{where}: column {name} is gone; there are {', '.join(schema.names)}",
                hint="upstream changed: name its new columns in configs/sources.toml, or an older revision there",
            )
        found = schema.field(name).type
        if not _fits(found, kind):
            raise BadInput(
                f"{where}: column {name} is {found}, and was {_shown(kind)}",
                hint="upstream changed: mend columns and mapper in configs/sources.toml, or name an older revision",
            )


def _fits(found: pa.DataType, expected: Any) -> bool:
    if pa.types.is_null(found):  # JSON is typed by what stands in it; a stretch of nothing but nulls says nothing
        return True
    if isinstance(expected, dict):
        return pa.types.is_struct(found) and all(
            (index := found.get_field_index(name)) >= 0 and _fits(found.field(index).type, kind)
            for name, kind in expected.items()
        )
    if isinstance(expected, list):
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
        return is_list and _fits(found.value_type, expected[0])
    return str(found).removeprefix("large_").removesuffix("_view") == expected


def _shown(kind: Any) -> str:
    if isinstance(kind, list):
        return f"list<{_shown(kind[0])}>"
    if isinstance(kind, dict):
        return f"struct<{', '.join(f'{name}: {_shown(inner)}' for name, inner in kind.items())}>"
    return str(kind)
