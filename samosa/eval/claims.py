"""Whether an answer claims what it mentions: not denied, not one guess of several, not taken back, not contradicted.

Everything is said of mentions: places in the text where a candidate stands, the right one or another of its kind.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_VERB = r"(?:is|was|are|were|will be|would be|must be|should be|has to be|comes (?:out )?to|came (?:out )?to|equals?|makes|gives|fell on|falls on|'s|=|:)"
_FILL = (
    r"(?:\s+(?:a|an|the|in|fact|at|all|equals?|to|really|actually|exactly|simply|be|been|quite|correct|right|true|answer|result|"
    r"is|it|it's|that|about|around|say|saying|necessarily|worth|=|on|of|come|comes|out|going|as|this|today|day))"
)
_OPEN = r"[\s$€£₹¥\"'“”‘’*_(\[\\]*"

SENTENCE = re.compile(r"[.!?]+(?=[\s\"')\]*]|$)|[\n;]")
RESTART = re.compile(
    rf"(?:[,:—–(]|\s-\s|(?<!anything )(?<!nothing )(?<!all )\b(?:but|and|so|because|since|therefore|then)\b)\s*"
    rf"(?:(?:and|but|so|then|thus|rather|instead|actually|therefore|hence|yes|no)\b,?\s*)*"
    rf"(?:(?:it|that|this|which|there|he|she|they)(?:'s|\s+{_VERB})|the (?:[\w-]+ ){{0,4}}{_VERB}|you (?:get|have|pay|owe)|we (?:get|have)|"
    rf"i (?:get|got|have)|gives|equals|makes|=|is\b|was\b)"
    rf"|(?<!anything )(?<!nothing )(?<!all )\bbut(?: rather| instead)?(?=\W*$)|→|=>"
)
DENIED = re.compile(
    rf"(?:(?:\bnot|n't|\bnever)(?!\s+(?:only|just|merely)\b)|\bneither|\bnor|\bhardly|\bscarcely|\bwithout|\bunlike|"
    rf"\binstead of|\brather than|(?<!none )(?<!nothing )(?<!no )\bother than|\bdifferent from|\bopposed to|"
    rf"(?<!nothing )\banything but|\bfar from|\bnowhere near|\bexcept(?: for)?|\bno \w+ (?:of|at)|\bused to be|\bformerly|\bpreviously|\bno longer|≠|!=){_FILL}{{0,7}}{_OPEN}$"
)
COMPARED = re.compile(
    rf"(?:\b(?:less|fewer|lower|smaller|more|greater|larger|higher|bigger|other) than|\bshort of|\bover|\bunder|\bbelow|"
    rf"\babove|\bbefore|\bafter|\buntil|\bbeyond|\balmost|\bnearly|\bclose to|\bat (?:least|most)|\bexceeds|[<>≤≥]){_FILL}{{0,3}}{_OPEN}$"
)
DOUBTED = re.compile(
    r"(?:\b(?:do|does|did|would|could|can|will|should)(?:n't| not)|\bcannot|\bnever) (?:really |actually |honestly )?"
    r"(?:think|believe|say|suppose|claim|accept|agree|trust|mean)\b.*$"
    r"|(?<!no )(?<!without )(?<!without a )\bdoubt(?:s|ful)? (?:that|it|if|whether)\b.*$"
    r"|\b(?:wrong|incorrect|incorrectly|wrongly|mistaken|mistakenly|false|falsely|untrue|erroneous|inaccurate|absurd)\b.*$"
    r"|\b(?:nobody|no one|none of)\b.*$|\b(?:although|though|even if|despite)\b.*$"
    r"|\bmay or may not\b.*$|\b(?:pretend|imagine|lie and say|joke that)\b.*$",
    re.DOTALL,
)
OTHERS = re.compile(
    r"\b(?:you|some|people|many|one|they|others|someone|everyone|most)(?: people| folks)?(?: might| may| could| would| often"
    r"| sometimes| usually| will)* (?:think|thinks|thought|say|says|said|believe|guess|claim|assume|expect)\b"
)
BUT = re.compile(r"\b(?:but|however|yet|although|in fact|actually|in reality|wrong|mistaken)\b")
IF = re.compile(r"\b(?:if|unless|suppose|had)\b(?:(?!,).)*$", re.DOTALL)
DENIED_AFTER = (
    re.compile(
        r"^[\"'”’)*_]*\s*(?:is|was|are|were|does|did|would be|will be|can|could|has|must|should|wo|ca)?\s?(?:definitely |clearly |certainly |simply |also |obviously )?(?:n't|(?<=\s)not(?! only| just)|(?<=\s)never)\b"
    ),
    re.compile(
        r"^[\"'”’)*_]*\s*(?:(?:is|was|are|were|would be|seems|looks|sounds)|'s)\s+(?:\w+ly |a |an |the |way |far |just |quite |also )*"
        r"(?:wrong|incorrect|false|mistaken|mistake|impossible|untrue|off\b|error|bad|inaccurate|nonsense|absurd|unlikely|"
        r"too (?:high|low|big|small|large|much|little|many|few)|out of the question|a lie)"
    ),
    re.compile(
        r"^[^.!?\n]{0,25}\?+\s*(?:no\b|nope|wrong|not\b|never|that is not|that isn't|that's not|incorrect|false|hardly|far from|it is not|it isn't|it's not)"
    ),
    re.compile(r"^[\"'”’*_]*\s*[(\[—–-]+\s*(?:wrong|incorrect|false|not (?:correct|right|true)|no\b)"),
    re.compile(
        r"^[^.!?\n]{0,30}[.!,;—–-]+\s*(?:no,? |but )?(?:that|this|it|which)(?:'s| is| was) (?:\w+ly |of course )*"
        r"(?:wrong|incorrect|false|not (?:right|correct|true|so|the (?:answer|right|correct|case|one|result))|mistaken|a lie|a joke|a mistake|untrue)"
    ),
    re.compile(r"^[\"'”’*_)]*[\s.,!—–-]+not\s*[.!]"),
)
OPERAND_AFTER = re.compile(
    r"^(?:\*\*|[_)\s])*(?:[+×÷^]|\*(?!\*)|[-/](?=\s?[$0-9])|plus\b|minus\b|times\b|multiplied by|divided by)\s*[($]*\s*"
    r"(?:[0-9x]|(?:one|two|three|four|five|six|seven|eight|nine|ten)\b)"
)
VAGUE_AFTER = re.compile(
    r"^\s?-?(?:ish\b|\s?(?:and a half|and a quarter|point\b|or so\b|or thereabouts|or more\b|or less\b|give or take|\+))"
)
LABELLED = re.compile(
    r"\b(?:page|room|chapter|line|item|option|step|question|problem|figure|table|exercise|section|version) #?$"
)
ASKING = re.compile(r"^\W*(?:is|are|was|were|could|would|do|does|did|can|what|which|how|who|when|should|shall|will)\b")

OR = re.compile(
    r"\bor\b|\band/or\b|\beither\b|\bmaybe\b|\bperhaps\b|\bpossibly\b|\balternatively\b|\bcould also\b|\bmight also\b|\bmight be\b|\bcould be\b|^\s?[/|]\s?$|\bvs\b|\bversus\b"
)
RANGE = re.compile(r"^\s?(?:-|–|—|to|through|until|\.\.\.?|…|~)\s?$")
LISTED = re.compile(r"^(?:[\s,|/&*_•-]|\band\b|[0-9]\.(?=\s))+$")
CORRECTED = re.compile(
    r"\b(?:actually|wait|correction|sorry|no|oops|i mean|i meant|rather|on second thought|hmm|scratch that|make that|"
    r"just kidding|hold on|let me correct|apologies|in truth|in reality|really)\b"
)
ANSWER_HEAD = re.compile(
    rf"\b(?:answer|result|solution|conclusion|(?:correct|right|actual|true|real) \w+)\b(?:[^.,:;\n]{{0,40}})?\s?{_VERB}\s*"
    rf"(?:about|around|roughly|approximately|exactly|actually|therefore|thus|then|indeed|still|also|now|on)?{_OPEN}$"
)
ARROW = re.compile(r"[*\s]*(?:→|=>|->)[*\s$]*")
FILLERS = re.compile(
    r"^(?:\W|\b(?:so|thus|therefore|then|hence|and|but|or|ok|okay|well|yes|no|sure|now|wait|actually|maybe|perhaps)\b)+"
)
RIGHT_AFTER = re.compile(
    r"^[\"'”’)*_]*\s*(?:is|was|'s) (?:the |your |our |in fact |actually |indeed )*(?:final |only )?(?:correct|right|true|actual|real|answer|result)"
)
COPULA = re.compile(
    rf"(?:{_VERB})\s*(?:about|around|roughly|approximately|exactly|a|an|the|on|actually|also|therefore|thus)?{_OPEN}$"
)
IT = re.compile(
    r"^(?:\W|\b(?:so|thus|therefore|then|hence|and|ok|okay|well|yes|no|sure|but|now|or|maybe|perhaps|actually|wait|also|again)\b)*(?:it|that|this|the (?:day|answer|result|date|number|value))(?:'s|\s)"
)


@dataclass(frozen=True)
class Mention:
    """A place where a candidate stands."""

    start: int
    end: int
    right: bool
    """Whether this is what the answer has to claim; else it is another of its kind."""
    in_question: bool = False
    """The question names it too."""
    number: bool = False
    quantity: str = ""
    """What kind of thing it counts, so that 17 % is no rival of 17 dollars; empty: not said."""


def fault(text: str, mentions: Sequence[Mention], question: str, *, strict: bool = True) -> str | None:
    """Why `text` does not claim what is right of the mentions, or None. Both texts are plain (answers.plain).

    strict: it is the answer to the question, so it may not be compared, conditional or only an operand either.
    """
    right = [one for one in mentions if one.right]
    if not right:
        return "is not said"
    live = [one for one in right if _denied(text, one, strict=strict) is None and not _echoed(text, one, question)]
    if not live:
        return next((why for one in right if (why := _denied(text, one, strict=strict))), "only repeats the question")
    wrong = [one for one in mentions if not one.right and _denied(text, one, strict=False) is None]
    told = _Told(text, live, wrong)
    return _hedged(told) or _answers_otherwise(told) or _contradicted(told) or _taken_back(told) or _one_of_a_list(told)


@dataclass(frozen=True)
class _Told:
    """A text with the mentions in it that nothing denies."""

    text: str
    live: Sequence[Mention]
    wrong: Sequence[Mention]

    def rivals(self) -> Iterator[tuple[Mention, Mention]]:
        """Every pair of a right one and another of its kind."""
        for one in self.live:
            for other in self.wrong:
                if not one.quantity or not other.quantity or one.quantity == other.quantity:
                    yield one, other

    def head(self, one: Mention) -> str:
        """What a mention is said of, from the mention before it on: "8 days ago was"; "it" for all that only points."""
        sentence = _sentence(self.text, one.start)
        begins = one.start - len(sentence)
        before = [other.end for other in (*self.live, *self.wrong) if begins < other.end <= one.start]
        for start in (max(before, default=begins), begins):
            said = FILLERS.sub("", self.text[start : one.start].strip(" ,:—–(*_\"'$€£₹¥"))
            pointed = IT.match(f"{said} ")
            if pointed and len(said) - pointed.end() < 16:
                return "it"
        return said

    def is_called_answer(self, one: Mention) -> bool:
        """Whether a mention is told to be the answer in so many words."""
        head = ANSWER_HEAD.search(_clause(self.text, one.start)) is not None
        return head or RIGHT_AFTER.search(self.text[one.end :]) is not None


def alternatives(text: str, start: int, end: int) -> bool:
    """Whether something else is offered for what stands at a place: "sunny or rainy"."""
    after, before = text[end:], _sentence(text, start)
    offered = re.match(
        r"^[\"'”’*_]{0,2},?\s(?:or|and/or)\s(?!so\b|more\b|less\b)(?:maybe |perhaps |possibly |even |else )*\w", after
    )
    return (
        offered is not None
        or re.search(rf"\w[\"'”’*_]{{0,2}},?\s(?:or|and/or)\s(?:maybe |perhaps |possibly |even )*{_OPEN}$", before)
        is not None
    )


def denied(text: str, start: int, end: int) -> bool:
    """Whether what stands at a place is denied there."""
    return _denied(text, Mention(start, end, right=True), strict=False) is not None


def _sentence(text: str, start: int) -> str:
    """The sentence before a place."""
    ends = [match.end() for match in SENTENCE.finditer(text, 0, start)]
    return text[ends[-1] if ends else 0 : start]


def _clause(text: str, start: int) -> str:
    """What of the sentence before a place still governs it: from where its subject was named anew."""
    sentence = _sentence(text, start)
    begins = [match.start() for match in RESTART.finditer(sentence)]
    return sentence[begins[-1] :] if begins else sentence


def _rest(text: str, end: int) -> str:
    """The sentence after a place."""
    match = SENTENCE.search(text, end)
    return text[end : match.start() if match else len(text)]


def _denied(text: str, one: Mention, *, strict: bool) -> str | None:
    clause, after = _clause(text, one.start), text[one.end :]
    if DENIED.search(clause) or DOUBTED.search(clause) or any(pattern.search(after) for pattern in DENIED_AFTER):
        return "is denied"
    if OTHERS.search(clause) and BUT.search(text[one.end : one.end + 80]):
        return "is denied"
    if not strict:
        return None
    if one.number and (COMPARED.search(clause) or VAGUE_AFTER.search(after)):
        return "is only compared with"
    if one.number and LABELLED.search(clause):
        return "only counts something"
    if one.number and OPERAND_AFTER.search(after):
        return "is only calculated with"
    if IF.search(clause):
        return "is only supposed"
    if ASKING.search(_sentence(text, one.start)) and re.match(r"[^.!\n]*\?", after):
        return "is only asked"
    return None


def _echoed(text: str, one: Mention, question: str) -> bool:
    """Whether a mention stands in three words or more of the question."""
    if not one.in_question:
        return False
    before, after = re.findall(r"[\w$%']+", text[: one.start])[-2:], re.findall(r"[\w$%']+", text[one.end :])[:2]
    words = [*before, *re.findall(r"[\w$%.']+", text[one.start : one.end]), *after]
    asked = " ".join(["", *re.findall(r"[\w$%.]+", question), ""])
    size = len(words) - len(before) - len(after)
    windows = [words[max(0, at) : at + size + 2] for at in range(len(before) - 2, len(before) + 1)]
    return any(len(window) == size + 2 and " ".join(["", *window, ""]) in asked for window in windows)


def _hedged(told: _Told) -> str | None:
    """One of several guesses: nothing but a few words and an "or" between two candidates."""
    text = told.text
    for one, other in told.rivals():
        first, second = sorted((one, other), key=lambda mention: mention.start)
        between = text[first.end : second.start]
        if len(between) > 60 or first.end > second.start:
            continue
        loose = re.sub(r"[.!?]\s+(?=(?:or|maybe|perhaps|possibly|alternatively|it (?:could|might))\b)", " ", between)
        near = SENTENCE.search(loose) is None and len(re.findall(r"\w+", loose)) <= 9
        if near and OR.search(loose):
            return "is one of several guesses"
        if one.number and not other.in_question and RANGE.search(between):
            return "is one end of a range"
        asks = re.search(r"\bbetween\b", _sentence(text, first.start))
        if one.number and not other.in_question and asks and re.fullmatch(r"\s?and\s\$?", between):
            return "is one end of a range"
    return None


def _answers_otherwise(told: _Told) -> str | None:
    """Something else is called the answer, or is what "it" is, and the right one is not after it."""
    called = [
        one
        for one in told.wrong
        if _ends(told.text, one) and (told.is_called_answer(one) or (not one.number and told.head(one) == "it"))
    ]
    own = [one for one in told.live if told.is_called_answer(one) or told.head(one) == "it" or _copula(told.text, one)]
    if called and not (own and own[-1].start > called[-1].start):
        return "is said, and another is called the answer"
    return None


def _copula(text: str, one: Mention) -> bool:
    return COPULA.search(_clause(text, one.start)) is not None


def _ends(text: str, one: Mention) -> bool:
    """Whether nothing is said of a mention any more: "392." and not "392 of them"."""
    return (
        re.match(
            r"[\"'”’)*_\]]*\s*(?:$|[.,;!?\n)(]|\b(?:and|or|but|because|since|as|then|instead|actually|now)\b)",
            text[one.end :],
        )
        is not None
    )


def _contradicted(told: _Told) -> str | None:
    """The same is said of something else."""
    for one, other in told.rivals():
        if other.in_question or not _ends(told.text, other):
            continue
        head = told.head(one)
        if head != told.head(other):
            continue
        if _copula(told.text, other) if head else _alone(told.text, one, other):
            return "is contradicted"
    return None


def _alone(text: str, *both: Mention) -> bool:
    """Whether each of two is a sentence of its own."""
    return all(
        not _sentence(text, one.start).strip(" *_\"'$(") and not _rest(text, one.end).strip(" *_\"')") for one in both
    )


def _taken_back(told: _Told) -> str | None:
    """A correction to something else follows."""
    text, last = told.text, told.live[-1]
    for other in told.wrong:
        between = text[last.end : other.start]
        if other.start < last.end or other.in_question or len(between) > 80 or not _ends(text, other):
            continue
        if ARROW.fullmatch(between) or CORRECTED.search(between):
            return "is taken back"
    return None


def _one_of_a_list(told: _Told) -> str | None:
    """All that is said is a list of candidates."""
    for one in told.live:
        beside = [
            other
            for other in told.wrong
            if not other.in_question
            and (other.start < one.start or _ends(told.text, other))
            and LISTED.fullmatch(
                told.text[other.end : one.start] if other.end <= one.start else told.text[one.end : other.start]
            )
        ]
        if not beside:
            return None
    return "is one of a list"
