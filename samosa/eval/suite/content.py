"""Every template of the full suite, by module: one a category."""

from samosa.eval.suite import (
    artefacts,
    basic_math,
    calculations,
    chat_format,
    creative,
    dates,
    follow_ups,
    identity,
    india,
    injection,
    multi_step,
    no_tool,
    search_topics,
    think_tools,
    word_problems,
)
from samosa.eval.suite.types import Template

TEMPLATES: tuple[Template, ...] = (
    *identity.TEMPLATES,
    *search_topics.TEMPLATES,
    *calculations.TEMPLATES,
    *think_tools.TEMPLATES,
    *no_tool.TEMPLATES,
    *india.TEMPLATES,
    *basic_math.TEMPLATES,
    *multi_step.TEMPLATES,
    *dates.TEMPLATES,
    *word_problems.TEMPLATES,
    *chat_format.TEMPLATES,
    *creative.TEMPLATES,
    *follow_ups.TEMPLATES,
    *artefacts.TEMPLATES,
    *injection.TEMPLATES,
)
