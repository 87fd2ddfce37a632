"""The words with which answers deny, doubt, hedge and correct themselves, as patterns over plain text (answers.plain).

Those that look back end where a candidate begins, those named AFTER begin where it ends.
"""

import re


def _any(words: str) -> str:
    """One of some words or phrases, which are patterns themselves, given with commas between."""
    return f"(?:{'|'.join(word.strip() for word in words.split(', '))})"


_IS = "is, was, are, were, will be, would be"
_VERB = _any(
    rf"{_IS}, must be, should be, has to be, comes (?:out )?to, came (?:out )?to, equals?, makes, gives, fell on, "
    "falls on, 's, =, :"
)
_FILL = r"(?:\s+" + _any(
    "a, an, the, in, fact, at, all, equals?, to, really, actually, exactly, simply, be, been, quite, correct, right, "
    "true, answer, result, is, it, it's, that, about, around, say, saying, necessarily, worth, =, on, of, come, comes, "
    "out, going, as, this, today, day"
) + ")"  # fmt: skip
_ABOUT = "about, around, roughly, approximately, exactly, actually, therefore, thus, also, on"
_THEN = (
    "so, thus, therefore, then, hence, and, but, or, ok, okay, well, yes, no, sure, now, wait, actually, maybe, perhaps"
)
_WRONG = "wrong, incorrect, false, mistaken, untrue, inaccurate, absurd"
_CLOSE = r"^[\"')*_]*"
OPEN = r"[\s$€£₹¥\"'*_(\[\\]*"
"""What may stand right before a number or word that is told."""

# ---- how a text is cut

SENTENCE = re.compile(r"[.!?]+(?=[\s\"')\]*]|$)|[\n;]")
_REAL_BUT = r"(?<!anything )(?<!nothing )(?<!all )\bbut"
RESTART = re.compile(
    rf"(?:[,:—–(]|\s-\s|{_REAL_BUT}\b|\b{_any('and, so, because, since, therefore, then')}\b)\s*"
    rf"(?:\b{_any('and, but, so, then, thus, rather, instead, actually, therefore, hence, yes, no')}\b,?\s*)*"
    rf"(?:{_any('it, that, this, which, there, he, she, they')}(?:'s|\s+{_VERB})|the (?:[\w-]+ ){{0,4}}{_VERB}|"
    rf"{_any('you, we, i')} {_any('get, got, have, pay, owe')}|{_any('gives, equals, makes, =')}|\b(?:is|was)\b)"
    rf"|{_REAL_BUT}(?: rather| instead)?(?=\W*$)|→|=>"
)
"""Where a sentence names its subject anew, so that what was denied before is no longer."""

# ---- denied

DENIED = re.compile(
    r"(?:(?:\bnot|n't|\bnever)(?!\s+(?:only|just|merely)\b)|(?<!none )(?<!nothing )(?<!no )\bother than|"
    r"(?<!nothing )\banything but|≠|!=|\b"
    + _any(
        r"neither, nor, hardly, scarcely, without, unlike, instead of, rather than, different from, opposed to, "
        r"far from, nowhere near, except(?: for)?, no \w+ (?:of|at), there (?:is|was) no, used to be, "
        r"formerly, previously, no longer"
    )
    + rf"){_FILL}{{0,7}}{OPEN}$"
)
_UNDONE = _any(
    "can, believe, think, say, forget, miss, worry, hesitate, exceed, get, need, want, have, expect, only, just, "
    "merely, even, go, matter"
)
NOT_DONE = re.compile(
    rf"(?:\b{_any('did, does, do, would, should, will, has, have')}(?: not|n't)|\bwon't)\s(?!{_UNDONE}\b)"
    rf"\w+{_FILL}{{0,3}}{OPEN}$"
)
"""Something is not done with what follows: "did not end"."""
DOUBTED = re.compile(
    rf"(?:\b{_any('do, does, did, would, could, can, will, should')}(?:n't| not)|\bcannot|\bnever) "
    rf"(?:{_any('really, actually, honestly')} )?"
    rf"{_any('think, believe, say, suppose, claim, accept, agree, trust, mean')}\b.*$"
    r"|(?<!no )(?<!without )(?<!without a )\bdoubt(?:s|ful)? (?:that|it|if|whether)\b.*$"
    r"|\bnot (?:sure|certain) (?:who|what|which|if|whether|that|it)\b.*$"
    rf"|\b{_any(f'{_WRONG}, incorrectly, wrongly, mistakenly, falsely, erroneous')}\b.*$"
    rf"|\b{_any('nobody, no one, none of, although, though, even if, despite, may or may not')}\b.*$"
    rf"|\b{_any('pretend, imagine, lie and say, joke that, common mistake, common error')}\b.*$",
    re.DOTALL,
)
OTHERS = re.compile(
    rf"\b{_any('you, some, people, many, one, they, others, someone, everyone, most')}(?: people| folks)?"
    rf"(?: {_any('might, may, could, would, often, sometimes, usually, will')})* "
    rf"{_any('think, thinks, thought, say, says, said, believe, guess, claim, assume, expect')}\b"
)
BUT = re.compile(rf"\b{_any('but, however, yet, although, in fact, actually, in reality, wrong, mistaken')}\b")
_DOES = _any(f"{_IS}, does, did, can, could, has, must, should, wo, ca")
_RATHER = _any(r"\w+ly, a, an, the, way, far, just, quite, also")
_MUCH = _any("high, low, big, small, large, much, little, many, few")
_REALLY = _any("definitely, clearly, certainly, simply, also, obviously")
_NOT_IT = "not (?:right|correct|true|so|the (?:answer|right|correct|case|one|result))"
DENIED_AFTER = (
    re.compile(
        rf"{_CLOSE}\s*{_DOES}?\s?(?:{_REALLY} )?(?:n't|(?<=\s)not(?! only| just| hard| difficult)|(?<=\s)never)\b"
    ),
    re.compile(
        rf"{_CLOSE}\s*(?:{_any(f'{_IS}, seems, looks, sounds')}|'s)\s+(?:{_RATHER} )*"
        rf"{_any(f'{_WRONG}, mistake, impossible, error, bad, nonsense, unlikely, out of the question, a lie')}"
    ),
    re.compile(rf"{_CLOSE}\s*{_any(_IS)} (?:way |far |much )?too {_MUCH}"),
    re.compile(
        rf"^[^.!?\n]{{0,25}}\?+\s*{_any(f'{_WRONG}, nope, hardly, far from, i doubt')}"
        rf"|^[^.!?\n]{{0,25}}\?+\s*(?:no|not|never)\b"
    ),
    re.compile(r"^[^.!?\n]{0,25}\?+\s*(?:that|it)(?: is not|'s not| isn't)\b"),
    re.compile(rf"{_CLOSE}\s*[(\[—–-]+\s*(?:{_any('wrong, incorrect, false')}|not (?:correct|right|true)|no\b)"),
    re.compile(
        r"^[^.!?\n]{0,30}(?:[.!,;—–-]+\s*(?:no,? |but )?|\sbut )(?:that|this|it|which)(?:'s| is| was) "
        rf"(?:(?:\w+ly|of course) )*{_any(f'{_WRONG}, {_NOT_IT}, a lie, a joke, a mistake')}"
    ),
    re.compile(r"^[\"'*_)]*[\s.,!—–-]+not\s*[.!]"),
    re.compile(r"^[^.,!?;\n]{0,40}\bno longer\b|^[^.!?;\n]{0,60}\bnot any ?more\b"),
)

# ---- said, and not as the answer

COMPARED = re.compile(
    r"(?:[<>≤≥]|\b"
    + _any(
        "(?:less|fewer|lower|smaller|more|greater|larger|higher|bigger|later|earlier|other) than, short of, over, "
        "under, below, above, before, after, until, beyond, almost, nearly, close to, at least, at most, exceeds"
    )
    + rf"){_FILL}{{0,3}}{OPEN}$"
)
IF = re.compile(r"\b(?:if|unless|suppose|had)\b(?:(?!,).)*$", re.DOTALL)
_LABELS = "page, room, chapter, line, item, option, step, question, problem, figure, table, exercise, section, version"
LABELLED = re.compile(rf"\b{_any(_LABELS)} #?$")
_ASK = "is, are, was, were, could, would, do, does, did, can, what, which, how, who, when, should, shall, will"
ASKING = re.compile(rf"^\W*{_any(_ASK)}\b")
OPERAND_AFTER = re.compile(
    r"^(?:\*\*|[_)\s])*(?:[+×÷^]|\*(?!\*)|[-/](?=\s?[$0-9])|\b(?:plus|minus|times|multiplied by|divided by)\b)"
    r"\s*[($]*\s*"
    rf"(?:[0-9x]|{_any('one, two, three, four, five, six, seven, eight, nine, ten')}\b)"
)
_OR_SO = "and a half, and a quarter, point, or so, or thereabouts, or more, or less, give or take"
VAGUE_AFTER = re.compile(rf"^\s?-?(?:ish\b|(?<!\s)\+(?!\s?[0-9$])|\s?{_any(_OR_SO)}\b)")

# ---- one of several

_MAYBE = "either, maybe, perhaps, possibly, alternatively, could also, might also, might be, could be, vs, versus"
OR = re.compile(rf"\b{_any(f'or, and/or, {_MAYBE}')}\b|^\s?[/|]\s?$")
_PERHAPS = "(?:maybe |perhaps |possibly |even |else )*"
OR_ELSE = re.compile(rf"^[\"'*_]{{0,2}},?\s(?:or|and/or)\s(?!so\b|more\b|less\b){_PERHAPS}\w")
ELSE_OR = re.compile(rf"\w[\"'*_]{{0,2}},?\s(?:or|and/or)\s{_PERHAPS}{OPEN}$")
"""Something else beside a candidate: "sunny or rainy"."""
_THING = "in total, in all, altogether, total, including, with the, with a, rounded, to be, if you, for a, for the"
OTHER_THING = re.compile(rf"^[\"'*_)]*\s{_any(_THING)}\b")
"""What follows a number that is of something else: "or $52.65 in total"."""
RANGE = re.compile(r"^\s?(?:-|–|—|to|through|until|\.\.\.?|…|~)\s?$")
LISTED = re.compile(r"^(?:[\s,|/&*_•-]|\band\b|[0-9]\.(?=\s))+$")
CORRECTED = re.compile(
    r"\b"
    + _any(
        "actually, wait, correction, sorry, no, oops, i mean, i meant, rather, on second thought, hmm, scratch that, "
        "make that, just kidding, hold on, let me correct, apologies, in truth, in reality, really"
    )
    + r"\b"
)
STRAIGHT_BACK = re.compile(r"\b(?:no,? wait|wait,? no|scratch that|correction|i meant|my mistake)\b")
STEP = re.compile(r"[,;]?\s*(?:and\s)?(?:then|after that|finally)\b")
ARROW = re.compile(r"[*\s]*(?:→|=>|->)[*\s$]*")

# ---- what a candidate is said of

ANSWER_HEAD = re.compile(
    rf"\b(?:answer|result|solution|conclusion|(?:correct|right|actual|true|real) \w+)\b(?:[^.,:;\n]{{0,40}})?\s?"
    rf"{_VERB}\s*{_any(f'{_ABOUT}, then, indeed, still, now')}?{OPEN}$"
)
RIGHT_AFTER = re.compile(
    rf"{_CLOSE}\s*(?:is|was|'s) (?:{_any('the, your, our, in fact, actually, indeed')} )*(?:final |only )?"
    rf"{_any('correct, right, true, actual, real, answer, result')}"
)
COPULA = re.compile(rf"{_VERB}\s*{_any(f'{_ABOUT}, a, an, the')}?{OPEN}$")
FILLERS = re.compile(rf"^(?:\W|\b{_any(_THEN)}\b)+")
IT = re.compile(
    rf"^(?:\W|\b{_any(f'{_THEN}, also, again')}\b)*"
    r"(?:it|that|this|the (?:day|answer|result|date|number|value))(?:'s|\s)"
)
