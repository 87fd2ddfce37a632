"""A full suite of a few probes, for tests of what is done with one."""

from dataclasses import replace

from samosa.eval.probes import joint_suite

CATEGORIES = {"search": "tool_search", "calculator": "think_tool", "no_tool": "creative"}


def small_suite(*, seed, per_category, counts):
    """`per_category` probes of three categories, the same questions under every id and seed as the joint suite's."""
    drawn = [probe for probe in joint_suite(seed=seed, per_pattern=per_category) if not probe.roadmap]
    return [replace(probe, category=CATEGORIES[probe.pattern]) for probe in drawn]
