"""Every template of the full suite, by module: one a category."""

from samosa.eval.suite.types import Template

TEMPLATES: tuple[Template, ...] = ()
