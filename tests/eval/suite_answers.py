"""Right answers to the full suite's questions, and wrong ones: what a judge has to tell apart."""

import re
from decimal import ROUND_HALF_UP, Decimal

from samosa.chat.payloads import call_payload
from samosa.chat.tools import Toolbox
from samosa.eval.fixture import ProbeSearch
from samosa.eval.probe_types import user_turns
from tests.eval.suite_oracles import EXPRESSIONS, MONTHS, expression
from tests.eval.turns import CALL, CALLED, END, ids_and_forced

THOUGHT = "<think>\nI know what to do.\n</think>\n"
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
STYLES = ("It is {}.", "{}", "{}.", "That would be {}.", "The answer is {}.", "I found it: {}.", "**{}**")
PADDING = " That is what there is to say about it, as far as I can tell."


def _find(pattern, question):
    return re.search(pattern, question).groups()


def _words(text):
    """The words of "a, b and c"."""
    return re.split(r", | and ", text)


def _lines(number):
    return "\n".join(f"Line {'abcdef'[i]} goes softly by" for i in range(number))


def _counted(question):
    return NUMBERS[_find(r"\b(two|three|four|five|six)\b (?:short )?(?:sentences|lines)", question)[0]]


def _ending(*words):
    return "\n".join(f"Now here it comes, the {word}" for word in words)


def _acrostic(question):
    word = (re.search(r"word ([A-Z]+)", question) or re.search(r"letters ([A-Z, ]+), in", question))[1]
    return "\n".join(f"{letter}ovely things" for letter in word.replace(", ", ""))


def _yes_or_no(question):
    names = re.findall(r"[A-Z][a-z]+", re.sub(r"(?:The|Did|Was|Say|Just) ", "", question))
    return "Yes" if names[0] == names[2] else "No"


def _table(question):
    (one, age, two, other) = _find(r"(\w+) is (\d+) and (\w+) is (\d+)", question)
    return f"| Name | Age |\n|---|---|\n| {one} | {age} |\n| {two} | {other} |"


def _quoted(question):
    return _find(r'"([^"]+)"', question)[0]


def _trip(question):
    name, place, day = _find(r"(\w+) travels to (.+?) on (\w+)\.", question)
    return f"Who: {name}\nWhere: {place}\nWhen: {day}"


def _letter(question):
    name, day, sender = _find(r'"Dear (\w+)".* on (\w+),.*(?:sign as|my name) (\w+)', question)
    return f"Dear {name},\nI will come on {day}.\nBest wishes\n{sender}"


def _json(question):
    name, town = _find(r"(?:^|: )(\w+) lives in (.+?)\.", question)
    return f'{{"name": "{name}", "town": "{town}"}}'


def _postfix(question):
    a, b = _find(r"Write (\w+)(?:,| and) .*?\b(\w+)(?: in round brackets\.|\.)$", question)
    return f"{a} ({b})"


def _months(question):
    first = MONTHS.index(_find(rf"({'|'.join(MONTHS)})", question)[0])
    return ", ".join(MONTHS[(first + i) % 12] for i in range(12))


def _alphabet(question):
    return ", ".join(sorted(re.split(", ", question.split(": ")[1].rstrip("."))))


def _lakh(question):
    return str(int(Decimal(_find(r"([\d.]+) lakh", question)[0]) * 100_000))


def _left_to_buy(question):
    first, last = question.split("\n")[0], question.split("\n")[-1]
    things = _words(first.removeprefix("My shopping list: ").rstrip("."))
    return "\n".join(f"- {thing}" for thing in things if thing not in last)


def _opening(question):
    start = _quoted(question).removesuffix(" ...")
    return f"{start} came by. There stood one {_find(r'(?:is a|one) ([a-z]+)', question)[0]}, and all was well again."


def _said(form, pattern):
    """An answer with what the question says in one place."""
    return lambda question: form.format(*_find(pattern, question))


def _with_quoted(form):
    return lambda question: form.format(_quoted(question))


def _dashes(question):
    return "\n".join(f"- {thing}" for thing in _words(_find(r"(?:Write|line:) (\w+,.*?)(?: as|\.$)", question)[0]))


def _numbers(question):
    things = _words(_find(r"(?:line:|list of) (.*?)(?:\.|, in this)", question)[0])
    return "\n".join(f"{number}. {thing}" for number, thing in enumerate(things, 1))


def _mail(question):
    return _find(r"(\S+@[\w.]+\w)", question)[0].strip("()")


def _verse(question):
    return _ending(*_words(_find(r"(?:order, with: |words are )(.*?)(?:, one after|\.$)", question)[0]))


def _letters(question):
    letter = _find(r"(?:with|letter) ([A-Z])\b", question)[0]
    return f"{letter}ab, {letter}elo, {letter}imi"


GROUPS = (
    "dog horse tiger rabbit sheep monkey donkey lion",
    "apple banana mango pear grape cherry papaya lemon",
    "hammer saw screwdriver pliers wrench chisel drill",
    "red blue green yellow purple pink brown",
    "shirt scarf glove jacket sock hat skirt",
)


def _odd_one(question):
    words = _find(r": (.*?)[?]", question)[0].split(", ")
    kinds = [next(number for number, group in enumerate(GROUPS) if word in group.split()) for word in words]
    return next(word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1)


def _no_sweet(question):
    return _find(r"\b(dal|raita|naan|dosa|biryani|pakora)\b", question)[0].capitalize()


# By template, for those whose answer has a form: the right answer from the words of the question.
FORMS = {
    "chat_format/bullets": _dashes,
    "chat_format/numbered": _numbers,
    "chat_format/comma-separated": lambda q: ", ".join(q.split("\n")[1:]),
    "chat_format/sorted-lines": lambda q: "\n".join(sorted(q.split(": ")[1].rstrip(".").split(", "))),
    "chat_format/one-word": lambda q: _find(r"door is (\w+)", q)[0].capitalize() + ".",
    "chat_format/yes-or-no": _yes_or_no,
    "chat_format/sentences": lambda q: " ".join([f"Here it is: {_quoted(q)}.", "Yes.", "So!", "Go."][: _counted(q)]),
    "chat_format/at-most": _with_quoted("A fine {}, I think."),
    "chat_format/begins-with": _with_quoted("{} it is a fine thing to think of now and then."),
    "chat_format/ends-with": _with_quoted("It is a fine thing to think of. {}"),
    "chat_format/capitals": lambda q: q.split(": ")[1].upper(),
    "chat_format/lower-case": lambda q: q.split(": ")[1].lower(),
    "chat_format/word-for-word": lambda q: q.split(": ", 1)[1],
    "chat_format/in-quotes": _said('"{}"', r"the word (.*?)(?: between|.$)"),
    "chat_format/in-brackets": _postfix,
    "chat_format/table": _table,
    "chat_format/heading": _with_quoted("# {}\n\nIt is a fine thing."),
    "chat_format/json-object": _json,
    "chat_format/code-block": _said('```python\nprint("{}")\n```', r"prints (?:the word )?(\w+)\.$"),
    "chat_format/letter": _letter,
    "chat_format/two-paragraphs": lambda q: "It is a fine thing to think of.\n\nSo is the other one, in its way.",
    "chat_format/label-lines": _trip,
    "creative/haiku": _said("Once more {}\ncomes over the quiet hill\nand goes home again", r'word "(\w+)"'),
    "creative/couplet": lambda q: _ending(*re.findall(r'"(\w+)"', q)),
    "creative/quatrain": _verse,
    "creative/poem-of-lines": lambda q: _lines(_counted(q)),
    "creative/acrostic": _acrostic,
    "creative/fixed-opening": _opening,
    "creative/fixed-ending": _with_quoted("It was late and all of them were very tired, {}"),
    "creative/conversation": lambda q: "\n".join(f"{name} Well, well." for name in re.findall(r'"(\w+:)"', q)),
    "creative/slogan": _said("{}: so good!", r"([A-Z]\w+ Foods)"),
    "creative/title": _said("The {} returns", r"(?:about a|word) (\w+)"),
    "creative/same-letter": _letters,
    "creative/without-a-letter": _said("A small {} is on the hill.", r"(?:about a|word) (\w+)"),
    "creative/riddle": lambda q: "I stand in every house, and few people see me. What am I?",
    "creative/refrain": lambda q: _lines(3) + "\n" + _quoted(q),
    "creative/question-back": _said("Is this {}?", r"(?:in|gates of) ([A-Z][\w ]*?)[.?]"),
    "no_tool/alphabet": _alphabet,
    "no_tool/spell": lambda q: "-".join(_quoted(q)),
    "no_tool/odd-one-out": _odd_one,
    "india/odd-dish": _no_sweet,
    "no_tool/mail-address": _mail,
    "identity/yes-or-no": lambda q: "Yes, he did." if "Manmohan" in q else "No.",
    "artefacts/months": _months,
    "artefacts/say-it-thrice": lambda q: " ".join([_quoted(q)] * 3),
    "india/lakh": _lakh,
    "india/crore": lambda q: str(int(_find(r"([0-9]+) crore", q)[0]) * 100),
    "multi_turn/take-off-the-list": _left_to_buy,
}


# Answers as people give them, which tell again what the question told: what to take from it, and what to say with it.
RETOLD = {
    "no_tool/jobs": (r"(?:the|a) ([a-z]+)[?]", "{gold} is a {0}."),
    "no_tool/pets": (r"(dog|cat|parrot|horse|rabbit|goat)(?: called)?[?]", "Your {0} is called {gold}."),
    "no_tool/passage": (r"did ([A-Z].*?) grow", "{0} grew up in {gold}."),
    "dates/leap-year": (r"(leap|February)", "{gold} is a leap year."),
    "dates/days-ago": (r"(\d+) days", "{0} days ago it was {gold}."),
    "artefacts/question-and-answer": (r"has (\w+) seen[?]", "{0} has seen a {gold}."),
    "artefacts/json-given": (r"does (\w+) live", "{0} lives in {gold}."),
    "multi_turn/sibling-job": (r"My \w+ (\w+)", "{0} works as a {gold}."),
    "multi_turn/cheaper-one": (r"(less|cheaper)", "The {gold} costs less."),
    "multi_turn/when-they-come": (r"(\w+ and \w+) come", "{0} come to see you on {gold}."),
    "multi_turn/corrected-name": (r"(guest)", "The {0} is called {gold}."),
}


def retold(probe):
    """A right answer in words of the question."""
    pattern, form = RETOLD[probe.template]
    return form.format(*_find(pattern, asked(probe)), gold=probe.gold.answer_is[0])


def asked(probe):
    """What the user says, a turn a paragraph."""
    return "\n".join(user_turns(probe))


def shown(value):
    """A value as an answer shows it: whole, or with two decimals."""
    return str(value.quantize(Decimal("1" if value == value.to_integral_value() else "0.01"), ROUND_HALF_UP))


def right_answer(probe, style="It is {}."):
    """What somebody would say who knows."""
    gold = probe.gold
    if probe.template in FORMS:
        return FORMS[probe.template](asked(probe))
    said = [shown(gold.value)] if gold.value is not None else []
    said += [*gold.answer_is, *gold.answer_must, *(group[0] for group in gold.answer_any)]
    answer = (style if len(said) == 1 else "It is {}.").format(", together with ".join(dict.fromkeys(said)))
    return answer if len(answer) >= gold.min_answer_chars else answer + PADDING


def wrong_answers(probe):
    """What somebody would say who does not, and right answers with marks of training data."""
    gold, right = probe.gold, right_answer(probe)
    yield "", "nothing"
    yield "I would rather talk about something else, you know. Let us see!", "something else"
    yield f"{right}\n<|output_end|>", "a marker"
    yield f"<think>{right}", "a thought"
    if not {"html", "code"} & set(gold.marks):
        yield f"<b>{right}</b>", "tags"
    if gold.value is not None:
        yield f"It is {shown(gold.value + 7)}.", "another value"
        yield f"It is {shown(gold.value)} or {shown(gold.value + 1)}.", "two guesses"
    for needle in gold.answer_is:
        yield f"It is {(*gold.rivals, 'Blorvex')[0]}.", "a rival"
        yield f"It is not {needle}.", "a denial"
    for needle in gold.answer_must:
        yield re.sub(re.escape(needle), "Blorvex", right, flags=re.IGNORECASE), f"no {needle}"
    for needle in gold.answer_must_not:
        if re.fullmatch(r"[\w .$]+", needle):
            yield f"{right[:-1]}, and {needle}.", f"also {needle}"


def completion(probe, answer, tokenizer, *, tool="as asked"):
    """The ids and flags of a turn that thinks if it has to, calls as asked (or `tool`) and says `answer`."""
    pieces = [THOUGHT] if probe.gold.think else []
    tool = probe.gold.tool if tool == "as asked" else tool
    if tool is not None:
        call = call_payload(*_call(probe, tool))
        pieces += [CALL, call, CALLED, Toolbox(search=ProbeSearch(probe)).run(call).payload.encode()]
    return ids_and_forced(tokenizer, *pieces, answer, END)


def _call(probe, tool):
    if tool == "web_search":
        return tool, {"query": " ".join(probe.gold.query_must) or "anything", "top_k": 3}
    if probe.template in EXPRESSIONS:
        return tool, {"expression": expression(probe.template, asked(probe))}
    return tool, {"expression": f"{probe.gold.value or 2}+0"}
