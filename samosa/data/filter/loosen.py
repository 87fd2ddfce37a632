"""Patterns of RE2 loosened for Hyperscan: what finds all that a pattern finds in a text, and maybe more.

Hyperscan's syntax looks like RE2's and differs in what a space, a word or a letter is. So what one ASCII character of a
pattern may be is asked of RE2 itself, beyond ASCII only what is written out is taken as it stands and all else may be
anything. Left out are what has no width (ends of lines and words) and what a match may begin with or not: it ends where
it ends without that, and Hyperscan is twice as fast where a literal comes first.
"""

import re
from functools import lru_cache
from itertools import groupby

import re2

ASCII = bytes(range(128))
ANY_WIDE = r"\x{80}-\x{10ffff}"
FOLDS = {"k": r"\x{212a}", "s": r"\x{17f}"}  # the letters beyond ASCII that RE2 takes for ASCII ones, ignoring case

_TOKEN = re.compile(
    r"""(?P<flags>\(\?(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<scoped>[:)]))
      | (?P<opens>\((?!\?)|\(\?P?<\w+>)
      | (?P<closes>\))
      | (?P<choice>\|)
      | (?P<times>[*+?]|\{\d+(?:,\d*)?\})\??
      | (?P<widthless>[$^]|\\[AzbB])
      | (?P<one>\[\^?\]?(?:\[:\^?\w+:\]|\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|.)|[^\]\\])*\]
               |\\(?:[pP](?:\{[^}]*\}|[A-Z])|x(?:\{[^}]*\}|[0-9A-Fa-f]{2})|[^QECpPx0-9])
               |[^\\(\[])""",
    re.VERBOSE | re.DOTALL,
)
_WIDE = r"(?:\\x\{0*(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})\}|\\x[89A-Fa-f][0-9A-Fa-f]|[^\x00-\x7f])"  # a character
_WRITTEN = re.compile(rf"{_WIDE}(?:-{_WIDE})?")
_UNWRITTEN = re.compile(r"\A(?:\[\^|\.)|\\[pPDSW]|\[:\^|-\0|\0-")  # where \0 stands for what is written

_OPTIONAL = re.compile(r"\A\(\?:(?:\[[^\]]*\][*?]|\(\?:\|\[[^\]]*\]\))")  # of a loosened pattern that is one group


class Unsure(Exception):
    """A pattern that is not read here."""


def loosened(pattern: str) -> str:
    """The pattern for Hyperscan, which is to read UTF-8, to ignore case and to take line breaks as characters.

    Raises Unsure for syntax that is not read here.
    """
    flags, above, said = frozenset[str](), list[frozenset[str]](), list[str]()
    at, repeatable, one_group = 0, False, True  # repeatable: whether a character or a group stands just before
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or (token["times"] and not repeatable) or (token["closes"] and not above):
            raise Unsure(pattern[at:])
        one_group = one_group and (at == 0 or bool(above))
        at, repeatable = token.end(), bool(token["one"] or token["closes"])
        if token["opens"] or token["scoped"] == ":":
            above.append(flags)
            said.append("(?:")
        if token["flags"]:
            flags = flags.union(token["on"]).difference(token["off"] or "")
        elif token["closes"]:
            flags = above.pop()
            said.append(")")
        elif token["one"]:
            said.append(_one(token["one"], "".join(sorted(flags & {"i", "s"}))))
        elif token["choice"] or token["times"]:
            said.append(token["times"] or "|")
    if above:
        raise Unsure("a group is open")
    loose = "".join(said)
    return _OPTIONAL.sub("(?:", loose) if one_group else loose


@lru_cache(1 << 12)
def _one(said: str, flags: str) -> str:
    """What stands for one character, as a class of those it may be."""
    folds = "i" in flags
    if said.isascii() and said.isalnum():
        return f"[{said}{FOLDS[said.lower()]}]" if folds and said.lower() in FOLDS else said
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(f"(?{flags}:{said})" if flags else said, options)
    except re2.error:
        raise Unsure(said) from None
    codes = [match.start() for match in pattern.finditer(ASCII)]
    members = _class_of(codes) + _beyond_ascii(said, folds)
    if folds:
        members += "".join(wide for letter, wide in FOLDS.items() if ord(letter) in codes)
    if not members:
        raise Unsure(said)
    return f"[{members}]"


def _class_of(codes: list[int]) -> str:
    """ASCII characters as members of a class, short: Hyperscan takes no pattern of more than 16,000 characters."""
    signs = [chr(code) if 32 <= code < 127 and chr(code) not in r"\]^-[" else f"\\x{code:02x}" for code in range(128)]
    signs[9:14] = r"\t \n \x0b \f \r".split()
    said = ""
    for _, run in groupby(enumerate(codes), lambda one: one[1] - one[0]):
        first, *rest = [signs[code] for _, code in run]
        said += first + (f"-{rest[-1]}" if len(rest) > 1 else "".join(rest))
    return said


def _beyond_ascii(said: str, folds: bool) -> str:
    """The members beyond ASCII of what stands for one character: those that are written out, or all there are."""
    written = [match[0] for match in _WRITTEN.finditer(said)]
    if _UNWRITTEN.search(_WRITTEN.sub("\0", said)) or (written and folds):
        return ANY_WIDE
    return "".join(re.sub(r"[^\x00-\x7f]", lambda found: rf"\x{{{ord(found[0]):x}}}", one) for one in written)
