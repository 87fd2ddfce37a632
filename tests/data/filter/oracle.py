"""What the filter's rules decide, written down again slowly and plainly: `re`, `unicodedata` and `json`, no RE2, no
numpy, nothing of the filter's own code. Patterns are read from the rule files and mean what Python's `re` makes of them
in ASCII mode; masks, built-ins and the reading of rows are written from their descriptions.
"""

import json
import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[3] / "configs" / "rules"
CODE = "\x01"

# ---- rows


class NoConversation(Exception):
    """A line that is none."""


ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}


def messages(line: bytes) -> list[tuple[str, str]]:
    """(role, text) of a line of the layouts that rows.py writes."""
    try:
        row = json.loads(line.decode())
    except ValueError:
        raise NoConversation from None
    if isinstance(row, dict):
        if isinstance(row.get("conversation"), dict):
            row = row["conversation"]
        if "chosen" in row:
            row = row["prompt"] + row["chosen"]
        else:
            row = row.get("messages", row.get("conversations"))
    if not isinstance(row, list) or not row:
        raise NoConversation
    return [_message(entry) for entry in row]


def _message(entry: Any) -> tuple[str, str]:
    role = ROLES.get(entry.get("role", entry.get("from")))
    content = entry.get("content", entry.get("value"))
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    if role is None or not isinstance(content, str) or any("\ud800" <= c <= "\udfff" or c == "\0" for c in content):
        raise NoConversation
    return role, content


# ---- what rules see of a text


def without_calls(text: str, stand_in: str) -> str:
    """The text with `stand_in` for each character of calls and results."""
    kept, rest = "", text
    while opener := re.search(r"<\|(?:python|output)_start\|>", rest):
        start, inside = opener.span()
        if "output" in opener[0]:
            close = re.search(r"<\|output_end\|>", rest[inside:])
            if close is None:
                break
        else:
            close = re.search(r"<\|(?:python|output)_(?:start|end)\|>", rest[inside:])
            if close is None or close[0] != "<|python_end|>":
                kept, rest = kept + rest[:inside], rest[inside:]
                continue
        end = inside + close.end()
        kept, rest = kept + rest[:start] + stand_in * (end - start), rest[end:]
    return kept + rest


@lru_cache(maxsize=64)
def code_places(text: str) -> tuple[list[bool], bool]:
    """Which characters are code in Markdown, and whether the last fenced block is open. Line by line."""
    hidden = [False] * len(text)
    at, mark, begun, paragraph = 0, "", 0, 0
    for line in text.split("\n"):
        end = at + len(line)
        if mark:
            bare = line.strip(" \t\r>")
            if bare and set(bare) == {mark[0]} and len(bare) >= len(mark):
                hidden[begun:end] = [True] * (end - begun)
                mark, paragraph = "", end
        else:
            opened = re.match(r"[ \t>]*(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)?(```+|~~~+)(.*)", line)
            if opened and not (opened[1][0] == "`" and "`" in opened[2]):
                begun, mark = at + opened.start(1), opened[1]
                _hide_inline(text, paragraph, begun, hidden)
        at = end + 1
    if mark:
        hidden[begun:] = [True] * (len(text) - begun)
    else:
        _hide_inline(text, paragraph, len(text), hidden)
    return hidden, bool(mark)


def _hide_inline(text: str, start: int, end: int, hidden: list[bool]) -> None:
    for paragraph in re.finditer(r"(?s).+?(?=\n[ \t\r>]*\n|\Z)", text[start:end]):
        runs = [(start + paragraph.start() + m.start(), m[0]) for m in re.finditer("`+", paragraph[0])]
        while runs:
            (begin, mark), runs = runs[0], runs[1:]
            partner = next((n for n, (_, other) in enumerate(runs) if other == mark), None)
            if partner is not None:
                stop = runs[partner][0] + len(mark)
                hidden[begin:stop] = [True] * (stop - begin)
                runs = runs[partner + 1 :]


@lru_cache(maxsize=64)
def prose(text: str) -> str:
    """The text with code, calls and results hidden."""
    text = without_calls(text, CODE)
    return "".join(CODE if code else char for char, code in zip(text, code_places(text)[0], strict=True))


@lru_cache(maxsize=64)
def as_it_looks(text: str) -> str:
    """Wide and mathematical letters as plain ones, all spaces as one, the invisible left out."""
    if text.isascii():
        return text
    seen = []
    for before, char in zip("\uffff" + text, text, strict=False):
        plain = unicodedata.normalize("NFKC", char)
        if char in "\u2028\u2029":
            seen.append("\n")
        elif unicodedata.category(char) == "Zs" and char not in " \u1680":
            seen.append(" ")
        elif char in "\u200c\u200d":
            seen.append(char if ord(before) >= 0x250 else "")
        elif char in "\xad\u034f\u180e" or re.match("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]", char):
            continue
        elif ("\uff01" <= char <= "\uff5e" or "\U0001d400" <= char <= "\U0001d7ff") and len(plain) == 1:
            seen.append(plain)
        else:
            seen.append(char)
    return "".join(seen)


@lru_cache(maxsize=64)
def visible(text: str) -> str:
    """What a reader sees of an answer: no thinking, no calls, no results."""
    text = re.sub(r"(?s)<think>(?:(?!</?think>).)*</think>", "", text)
    return without_calls(text, "").strip()


# ---- built-ins


def emoji_run(text: str, times: int) -> bool:
    """So many emoji, with a space between two at most; signs of text count with the emoji selector only."""
    picture = (
        "[✅⭐☀❤☠✨⚽⚠☔⛈⚡"
        + "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff\U0001fa70-\U0001faff]"
    )
    sign = "[©®™♠]"
    tone = "[\U0001f3fb-\U0001f3ff]"
    first = f"(?:{picture}\ufe0f?{tone}?|{sign}\ufe0f)"
    one = f"(?:{first}(?:\u200d(?:{picture}|{sign})\ufe0f?{tone}?)*|[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3)"
    return re.search(f"{one}(?: ?{one}){{{times - 1}}}", text) is not None


def image_without_url(text: str) -> bool:
    """![words] that is no macro, condition, member access or reference, and names no address."""
    defined = {m[1].casefold() for m in re.finditer(r"^ {0,3}\[([^\]\n]+)\]:[ \t]*[^ \t\n\r\f]", text, re.M)}
    for opener in re.finditer(r"!\[((?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]", text):
        before, rest = text[: opener.start()][-1:], text[opener.end() :]
        target = re.match(r"\(([^()\n]*)\)", rest)
        if re.match(r"[0-9A-Za-z_)\]]", before) or (before == "(" and target is None):
            continue
        if target is not None:
            said = target[1].strip(" \t")
            stands_in = not re.search(r"[./]", said) or set(said) <= set(" .…#")
            stands_in = stands_in or bool(re.fullmatch(r"(?i)https?:/{0,2}|n/a|[^:]*placeholder[^:]*", said))
            behind = rest[target.end() :]
            if stands_in and not re.match(r"[(\[]|\.[0-9A-Za-z_]", behind):
                return True
            continue
        named = re.match(r"\[([^\[\]\n]*)\]", rest)
        if named is not None and not re.match(r"[(\[]|\.[0-9A-Za-z_]", rest[named.end() :]):
            if not named[1].isdecimal() and (named[1] or opener[1]).casefold() not in defined:
                return True
        elif not re.match(r"[(\[]|\.[0-9A-Za-z_]", rest) and opener[1].casefold() not in defined:
            return True
    return False


def repeated_line(words: str, text: str, times: int, shortest: int) -> bool:
    """A line that says something, `times` times in a row; around it only ASCII's blanks do not count, and nor do blank
    lines between lines of 24 bytes or more."""
    lines, at, blanks = [], 0, " \t\r\f\v"
    for row, line in enumerate(words.split("\n")):
        bare = line.strip(blanks)
        start = at + len(line) - len(line.lstrip(blanks))
        if bare:
            says = any(char.isalnum() for char in bare) and not (bare[0] == bare[-1] == "|")
            lines.append((row, len(bare.encode()), text[start : start + len(bare)] if says else ""))
        at += len(line) + 1
    for window in zip(*(lines[shift:] for shift in range(times)), strict=False):
        said = window[0][2]
        in_a_row = window[-1][0] - window[0][0] == times - 1 or window[0][1] >= 24
        if {one for _, _, one in window} == {said} and len(said) >= shortest and in_a_row:
            return True
    return False


def looped_text(words: str, times: int, longest: int) -> bool:
    """A phrase of up to `longest` words `times` times in a row; a single word twice that often."""
    tokens = words.split()
    for size in range(1, longest + 1):
        needed = times * (2 if size == 1 else 1)
        for start in range(len(tokens) - size * needed + 1):
            phrase = tokens[start : start + size]
            if tokens[start : start + size * needed] == phrase * needed and any(map(str.isalpha, "".join(phrase))):
                return True
    return False


def non_english(words: str, share: float, letters: int) -> bool:
    """Most letters, and at least so many, are not Latin."""
    alphabet = [ord(char) < 0x250 or "LATIN" in unicodedata.name(char, "") for char in words if char.isalpha()]
    other, latin = alphabet.count(False), alphabet.count(True)
    return other >= letters and other > share * (latin + other)


def says_nothing(text: str) -> bool:
    """No letter, digit or sign in what a reader sees."""
    kinds = {unicodedata.category(char) for char in visible(text)}
    return not any(kind[0] in "LN" or kind in ("So", "Sm", "Sc") for kind in kinds)


# ---- rules


@cache
def rules(name: str) -> tuple[dict[str, Any], ...]:
    """The rules of a file, those it includes before them."""
    file = tomllib.loads((RULES / f"{name}.toml").read_text())
    return tuple(rule for other in file.get("include", []) for rule in rules(other)) + tuple(file["rule"])


@cache
def _compiled(pattern: str, flags: str) -> re.Pattern[str]:
    joined = "".join(map(str.strip, pattern.splitlines())) if "\n" in pattern else pattern
    return re.compile(joined.replace(r"\z", r"\Z"), re.ASCII | sum(getattr(re, flag.upper()) for flag in flags))


def _begins(match: re.Match[str]) -> int:
    return match.start(match.lastindex or 0)


def _pattern_hits(rule: dict[str, Any], words: str) -> bool:
    excused = list(_compiled(rule["unless"], rule["flags"]).finditer(words)) if "unless" in rule else []
    for match in _compiled(rule["pattern"], rule["flags"]).finditer(words):
        if not any(_begins(other) <= _begins(match) < other.end(other.lastindex or 0) for other in excused):
            return True
    return False


def _rejects(rule: dict[str, Any], answers: list[str]) -> bool:
    args = rule.get("args", {})
    match rule.get("builtin"):
        case "answer_length":
            return sum(len(visible(text)) for text in answers) < args["at_least"]
        case "near_empty_turn":
            return any(map(says_nothing, answers))
        case "unclosed_fence":
            return any(code_places(text)[1] for text in answers)
        case "repeated_line":
            return any(repeated_line(prose(text), text, args["times"], args["shortest"]) for text in answers)
        case "looped_text":
            return any(looped_text(prose(text), **args) for text in answers)
        case "non_english":
            return any(non_english(prose(text), **args) for text in answers)
        case "emoji_run":
            return any(emoji_run(as_it_looks(prose(text)), **args) for text in answers)
        case "image_without_url":
            return any(image_without_url(as_it_looks(prose(text))) for text in answers)
    assert rule["scope"] == "assistant prose", rule["name"]
    return any(_pattern_hits(rule, as_it_looks(prose(text))) for text in answers)


ROADMAP = {
    "html_tag": re.compile(r"</?(?:b|i|strong|em|u)\s*>", re.I),
    "label_line": re.compile(r"^\s*(?:Answer|Response|Final answer|Q):", re.I | re.M),
    "image_without_url": re.compile(r"!\[[^\]]+\](?!\()"),
    "emoji_run": re.compile(r"[\U0001F600-\U0001F6FF]{3,}"),
    "as_an_ai": re.compile(r"\bas an ai language model\b", re.I),
    "cannot_provide": re.compile(r"\bi cannot provide\b", re.I),
    "repeated_line": re.compile(r"^(.+)\n\1\n\1$", re.M),
}
"""The roadmap's patterns, repaired, as a first script has them."""


def broken_rules(name: str, line: bytes) -> frozenset[str] | None:
    """The names of the rules that reject a line; None for one that is no conversation."""
    try:
        answers = [text for role, text in messages(line) if role == "assistant"]
    except NoConversation:
        return None
    if name == "roadmap":
        joined = "\n".join(answers)
        found = {rule for rule, pattern in ROADMAP.items() if pattern.search(joined)}
        return frozenset(found | ({"short_answer"} if len(joined) <= 40 else set()))
    return frozenset(rule["name"] for rule in rules(name) if _rejects(rule, answers))
