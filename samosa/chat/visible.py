"""Text of others on a page or terminal: what would hide, reorder or control is shown as its code point."""

import re
from pathlib import Path
from typing import Any

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]"
    r"|[\U000e0000-\U000e0fff]"
)
"""What steers a terminal or a browser, or cannot be seen; joiners of emoji and of Indian scripts may stay."""


def visible(text: str) -> str:
    """The text with what hides, reorders or controls shown as its code point."""
    return HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def page_templates(folder: Path) -> Any:
    """Templates of pages in a folder (a jinja2.Environment): whatever they are given is escaped, what they miss is an
    error, and the filters `visible` and `count` are there.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "count": lambda n: f"{n:,}"}
    return environment
