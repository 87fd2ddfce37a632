"""A loosened pattern finds whatever RE2 finds by the pattern itself."""

import random

import hyperscan
import pytest
import re2

from samosa.data.filter import load_rules, shipped
from samosa.data.filter.loosen import Unsure, loosened
from samosa.data.filter.matcher import compiled
from samosa.data.filter.patterns import options

ATOMS = [
    *r"a b K s i 1 \s \S \w \W \d \D \b \B ^ $ \A \z . [ab] [^ab] [a-f] [[:alpha:]] []a] [^]a] \x41 \x{42} \n".split(),
    *r"\t \v \. \pL \PL \p{Lu} \P{Lu} \p{Greek} \pN ı ſ [ıİ] é \- < / > _ { } ] [\pL_] [^\pL\pN_] \x00".split(),
    *(
        " ",
        r"[^\s\"<>]",
        r"[^[:space:]x]",
        r"[\]\x{41}-C]",
        r"\C",
        r"\Qa.\E",
        r"\12",
        r"\x{1F600}",
        r"\xe9",
        r"[\x{391}-\x{3a9}]",
    ),
    *("[é-ÿ]", "[a-é]", r"[a\x{e9}-]", r"[\x{80}-z\x{e9}]", r"[^é]", "α", "’", r"[’\x{20AC}]", r"[\x{0000e9}\n]"),
]
WIDTHLESS = ("^", "$", r"\A", r"\z", r"\b", r"\B")
GROUPS = ["(", "(?:", "(?i:", "(?s:", "(?m:", "(?-i:", "(?is-m:", "(?U:"]
LETTERS = 'abABkKsSiI1 _\n\t\v\x0c\r.<>/"x\x00-C]{}\x1c\x7f'


def pattern_of(draw: random.Random, depth: int) -> str:
    kind = draw.random()
    if depth == 0 or kind < 0.4:
        return draw.choice(ATOMS)
    one, other = pattern_of(draw, depth - 1), pattern_of(draw, depth - 1)
    if kind < 0.6:
        return one + other
    if kind < 0.75:
        return f"{draw.choice(GROUPS)}{one}|{other})"
    if kind < 0.82:
        return f"(?{draw.choice(['i', 's', 'm', '-i', '-s'])}){one}{other}"
    return f"(?:{one}){draw.choice(['*', '+', '?', '{2}', '{1,}', '{0,2}', '*?', '+?'])}{other}"


def ends_found(pattern: str, text: bytes) -> set[int]:
    """By Hyperscan. Raises hyperscan.error where it takes no such pattern."""
    database, ends = hyperscan.Database(), set()
    flags = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_UTF8
    database.compile(expressions=[pattern.encode()], flags=[flags])
    database.scan(text, match_event_handler=lambda which, start, end, flags, context: ends.add(end))
    return ends


def test_what_re2_finds_a_loosened_pattern_finds_with_the_same_end(soak_seed):
    draw = random.Random(soak_seed)
    compared = 0
    for _ in range(4000):
        pattern = f"({draw.choice(['?:', '?i:'])}{pattern_of(draw, 4)})" if draw.random() < 0.5 else pattern_of(draw, 4)
        text = "".join(draw.choice(LETTERS) for _ in range(draw.randint(1, 12))).encode()
        try:
            matches = [match.span() for match in re2.compile(pattern, options()).finditer(text)]
            ends = ends_found(loosened(pattern), text)
        except (re2.error, Unsure, hyperscan.error):
            continue
        wanted = {end for start, end in matches if start < end}
        assert wanted <= ends, (pattern, loosened(pattern), text)
        compared += bool(wanted)
    assert compared > 400


@pytest.mark.parametrize("flags", ["", "(?i)", "(?s)"])
@pytest.mark.parametrize("atom", [atom for atom in ATOMS if atom not in WIDTHLESS])
def test_what_stands_for_a_character_stands_for_all_that_re2_takes_for_it(atom, flags):
    try:
        pattern, loose = re2.compile(flags + atom, options()), loosened(flags + atom)
    except (re2.error, Unsure):
        return
    some = [*map(chr, range(0x180)), *"ſ∕KαΑΩωΣς\u0300‘’€\u2028\u3000नé😀😄\U0010ffff\ufffd\u212b"]
    text = "\n".join(some).encode()
    assert {match.end() for match in pattern.finditer(text) if match[0]} <= ends_found(loose, text)


@pytest.mark.parametrize("name", shipped())
def test_the_patterns_of_every_rule_set_are_read(name):
    for group in compiled(load_rules(name)).groups:
        for pattern in group.patterns:
            loosened(pattern)  # Unsure would be an error


@pytest.mark.parametrize("pattern", [r"\Qa.b\E", r"\C", "a**", "^*", r"\12"])
def test_syntax_that_is_not_read_is_no_guess(pattern):
    with pytest.raises(Unsure):
        loosened(pattern)
