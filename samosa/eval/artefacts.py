"""What no reader should see in an answer: marks of training formats, look-alike characters, loops, refusals."""

import re
import unicodedata
from collections.abc import Collection

from samosa.eval.probe_types import Mark

ARTEFACTS: tuple[tuple[str, Mark | None, re.Pattern[str]], ...] = (
    ("a marker as text", None, re.compile(r"<\|[^<>|\n]{1,40}\|>")),
    ("a piece of a marker", None, re.compile(r"<\|?/?(?:python|output|assistant|user|bos)_?(?:start|end)?\|?>?", re.I)),
    ("a think tag", None, re.compile(r"</?think\b(?!>)", re.IGNORECASE)),
    ("an HTML tag", "html", re.compile(r"</?[a-z][^<>\n]{0,80}>", re.IGNORECASE)),
    ("an HTML entity", "html", re.compile(r"&(?:nbsp|amp|lt|gt|quot|#[0-9]{2,5});")),
    ("a lone <", "html", re.compile(r"^\s*<\s*$", re.MULTILINE)),
    (
        "an `Answer:` line",
        "label",
        re.compile(
            r"^[^\w{\[\"']{0,4}(?:(?:final answer|answer|response|reply)\W{0,4}:|(?-i:[QA])\*{0,2}:\*{0,2}\s)",
            re.I | re.M,
        ),
    ),
    (
        "a mark of a chat format",
        None,
        re.compile(r"\[/?INST\]|<</?SYS>>|^###? ?(?:Instruction|Response|Human)\b", re.M),
    ),
    ("an image without an address", "image", re.compile(r"!\[[^\]\n]*\](?!\([^\s)]+\))")),
    ("raw JSON", "json", re.compile(r"[{\[]\s*\\?[\"']|\\?\"\w+\\?\"\s*:")),
    (
        "a call as text",
        None,
        re.compile(
            r"\b(?:web_search|calculator)\s*\(|(?:^|\n)\W{0,4}web_search\s*:|\b(?:tool_call|tool_result|tool_name|python_output|(?:python|output|assistant|user)_(?:start|end))\b",
            re.I,
        ),
    ),
    (
        "a turn spoken for somebody",
        "dialogue",
        re.compile(r"(?i:^\W{0,4}(?:user|human|assistant|system)\W{0,4}:)|[.!?]\s(?:User|Human|Assistant):\s", re.M),
    ),
    ("`as an AI`", None, re.compile(r"\bas an ai\b|\bas a(?:n ai)? (?:large )?language model\b", re.IGNORECASE)),
    ("broken bytes", None, re.compile("\ufffd")),
    ("a control character", None, re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")),
)
FENCED = re.compile(r"^```[^\n]*\n.*?(?:^```\s*$|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)

_HELP = (
    "help|assist|answer|provide|tell|find|explain|give|access|browse|search|look|calculate|compute|discuss|talk|do|"
    "comment|respond|share|say|speak|comply|fulfil|fulfill|engage|complete|"
    "continue|determine|confirm|verify|offer|write|count|make (?:that|this)|check|retrieve|fetch|wish"
)
_RATHER = "really|simply|just|must|have to|will have to|would rather|['’]d rather"
_MEANS = (
    "access|information|info|data|any|enough|sufficient|real-?time|live|current|up-to-date|"
    "an? (?:way|answer|source)|the|that|this|details|knowledge|internet|permission|tools?"
)
_LET = "allowed|permitted|authorized|authorised|going|willing|comfortable|programmed|designed"
_CANNOT = (
    "can ?not|can['’]t|could ?n['’]t|could not|won['’]t|will not|unable to|am not able to|not able to|"
    f"not (?:{_LET}) to|not|will not be able to|won['’]t be able to"
)
REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        rf"\bi(?:['’]m| am| was)?(?: sorry,? but i)?(?: afraid)?(?: that)?(?: i)?(?: (?:{_RATHER}))* ?"
        rf"(?:(?:{_CANNOT})(?: \w+)? (?:{_HELP})|refuse|decline|"
        rf"do(?:n['’]t| not) (?:know|have (?:{_MEANS})|want to (?:{_HELP})))\b",
        r"\bi (?:must|have to|respectfully|will|would|politely)? ?(?:\w+ly )?(?:refuse|decline)\b",
        r"\b(?:not able|unable|not allowed|not permitted) to (?:help|assist|answer|discuss|provide|comment|talk)\b",
        r"\b(?:is|are|not) something (?:that )?i (?:can(?:not|['’]t)|won['’]t|am not able)\b",
        r"^\W*no comment\b|\bi(?:['’]d| would) rather not\b|\bi prefer not to\b",
        r"\b(?:sorry|apologies|unfortunately|regret)\b[^.!?\n]{0,40}"
        r"\b(?:can ?not|can['’]t|won['’]t|unable|not able|not possible|impossible)\b",
        r"\b(?:it|that)(?: is|['’]s) (?:against my|beyond my|outside (?:of )?my|not within my)\b",
        r"\b(?:beyond|outside|against) my (?:capabilit|knowledge|guideline|programming|polic|abilit|scope|training)",
    )
)


def artefact(text: str, marks: Collection[Mark] = ()) -> str | None:
    """Name the first thing in an answer that no reader should see, or None.

    marks: what was asked for, and so is none; "code" lets anything but markers stand within code marks.
    """
    seen = FENCED.sub(" ", text) if "code" in marks else text
    for name, mark, pattern in ARTEFACTS:
        if mark not in marks and pattern.search(text if mark is None else seen):
            return name
    return "a loop" if "loop" not in marks and _loops(seen.split()) else None


def _loops(words: list[str]) -> bool:
    """Tell whether one to eight words come four times in a row (a single word: six times)."""
    for size in range(1, 9):
        repeated, needed = 0, max(3 * size, 5)
        for here, earlier in zip(words[size:], words, strict=False):
            repeated = repeated + 1 if here == earlier else 0
            if repeated >= needed:
                return True
    return False


def refuses(text: str) -> bool:
    """Tell whether the answer says that it will not or cannot answer."""
    return any(pattern.search(text) for pattern in REFUSALS)


INVISIBLE = re.compile("[\u00ad\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
JOINERS = re.compile("[0-9A-Za-z.,][\u200c\u200d]+[0-9A-Za-z.,]")
FULL_WIDTH = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff]")
WORD = re.compile(r"[^\W\d_]{2,}")
LOOK_ALIKE = ("CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
GREEK = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧον")  # not those of formulas


def look_alike(text: str) -> str | None:
    """Name characters that pass for others: invisible ones, full-width ones, words of two scripts; or None."""
    if INVISIBLE.search(text) or JOINERS.search(text):
        return "an invisible character"
    if FULL_WIDTH.search(text):
        return "full-width characters"
    for word in WORD.findall(text) if not text.isascii() else ():
        scripts = {unicodedata.name(letter, "").split()[0] for letter in word if not letter.isascii()}
        strange = scripts & set(LOOK_ALIKE) or GREEK & set(word)
        if strange and any(letter.isascii() for letter in word):
            return f"letters of two scripts in {word!r}"
    return None
