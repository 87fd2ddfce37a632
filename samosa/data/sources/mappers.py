"""How a row of each source becomes samosa's: a conversation, a preference pair, or a text.

A mapper takes a row as `datasets` gives it and returns {"messages": [...]}, {"prompt", "chosen", "rejected"} (lists of
messages) or {"text": ...}; or Skip, with why. Assistants' words are typed parts, in which markers and tags of other
people's data stay the ordinary text they are; reasoning that itself contains think tags is left out, because it could
not be told from the end of thinking.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from samosa.chat.conversation import parse_row
from samosa.chat.markup import THINK_BLOCK, THINK_TAG
from samosa.errors import BadInput

Row = dict[str, Any]


class Skip(NamedTuple):
    """A row that is not taken."""

    why: str


Mapper = Callable[[Row], Row | Skip]

NO_ANSWER = Skip("no final answer")
NO_REASONING = Skip("reasoning is missing or holds think tags")
NO_CONVERSATION = Skip("not a conversation from user to assistant in turn")
THOUGHT = re.compile(
    r"\s*<\|begin_of_thought\|>(.*)<\|end_of_thought\|>\s*<\|begin_of_solution\|>(.*?)(?:<\|end_of_solution\|>)?\s*",
    re.DOTALL,
)
BOXED = "\\boxed{"
ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
PERMISSIVE = frozenset(["mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "cc0-1.0"])
WIKITEXT_JOINTS = ((" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."))


def openr1(row: Row) -> Row | Skip:
    """The first generation that was verified and is complete, thought and answer told apart."""
    checked = zip(
        row["generations"] or (),
        row["correctness_math_verify"] or (),
        row["is_reasoning_complete"] or (),
        strict=False,
    )
    right = [text for text, correct, complete in checked if correct and complete]
    return _tagged(row["problem"], right[0]) if right else Skip("no verified generation")


def thought_and_solution(row: Row) -> Row | Skip:
    """OpenThoughts and Sky-T1: markers of their own around thought and solution; their system prompt, which explains
    those, is left out."""
    said = [_role(turn["from"], turn["value"]) for turn in row["conversations"] or ()]
    if [role for role, _ in said] != ["user", "assistant"]:
        return NO_CONVERSATION
    match = THOUGHT.fullmatch(said[1][1])
    return Skip("thought and solution are not told apart") if match is None else _reasoned(said[0][1], *match.groups())


def limo(row: Row) -> Row | Skip:
    """The whole solution is the thought; the reference answer is the answer."""
    return _reasoned(row["question"], row["solution"], _answer(row["answer"]))


def open_math_reasoning(row: Row) -> Row | Skip:
    """DeepSeek-R1's and QwQ's solutions, with think tags; proofs rewritten into questions are left out (their card)."""
    if row["problem_type"] == "converted_proof":
        return Skip("a proof rewritten into a question")
    return _tagged(row["problem"], row["generated_solution"])


def numina_cot(row: Row) -> Row | Skip:
    """The worked solution is the thought, what it boxes last is the answer; without a box it has none."""
    boxed = last_boxed(row["solution"] or "")
    return _reasoned(row["problem"], row["solution"], _answer(boxed)) if boxed else NO_ANSWER


def messages(row: Row) -> Row | Skip:
    """A list of {role, content}."""
    return _chat([(turn["role"], turn["content"]) for turn in row["messages"] or ()])


def wildchat(row: Row) -> Row | Skip:
    """English, and toxic by neither of the two moderators."""
    if row["toxic"]:
        return Skip("toxic")
    if row["language"] != "English":
        return Skip("not English")
    return _chat([(turn["role"], turn["content"]) for turn in row["conversation"] or ()])


def capybara(row: Row) -> Row | Skip:
    """Two lists of messages that differ in the last one."""
    if row["rating_chosen"] is None or row["rating_rejected"] is None or row["rating_chosen"] <= row["rating_rejected"]:
        return Skip("a tie")
    return _pair(row["chosen"], row["rejected"])


def ultrafeedback(row: Row) -> Row | Skip:
    """Two lists of messages that differ in the last one."""
    if row["score_chosen"] is None or row["score_rejected"] is None or row["score_chosen"] <= row["score_rejected"]:
        return Skip("a tie")
    return _pair(row["chosen"], row["rejected"])


def intel_orca(row: Row) -> Row | Skip:
    """One question and two answers; its card says to leave out ties, low scores and what GSM8K trains on."""
    if row["in_gsm8k_train"]:
        return Skip("a question of GSM8K")
    if row["status"] == "tie" or (row["chosen_score"] or 0) < 8:
        return Skip("a tie, or chosen with a low score")
    asked = [{"role": "user", "content": row["input"]}]
    if row["system"]:
        asked.insert(0, {"role": "system", "content": row["system"]})
    answers = ([*asked, {"role": "assistant", "content": row[side]}] for side in ("chosen", "rejected"))
    return _pair(*answers)


def text(row: Row) -> Row | Skip:
    return _text(row["text"])


def permissive_code(row: Row) -> Row | Skip:
    """Source files under licences that ask for no more than attribution, and that nobody generated."""
    if row["license"] not in PERMISSIVE:
        return Skip("not under a permissive licence")
    if row["autogenerated"]:
        return Skip("generated code")
    return _text(row["content"])


def gutenberg(row: Row) -> Row | Skip:
    """A whole book; its line ends become \\n."""
    return _text((row["TEXT"] or "").replace("\r\n", "\n"))


def wikitext(row: Row) -> Row | Skip:
    """An article, put together by `articles`; the tokenizer's joints in numbers and compounds are closed again."""
    body = row["text"] or ""
    for joint, plain in WIKITEXT_JOINTS:
        body = body.replace(joint, plain)
    return _text(body)


MAPPERS: dict[str, Mapper] = {
    mapper.__name__: mapper
    for mapper in (
        openr1, thought_and_solution, limo, open_math_reasoning, numina_cot, messages, wildchat, capybara,
        ultrafeedback, intel_orca, text, permissive_code, gutenberg, wikitext,
    )
}  # fmt: skip


def last_boxed(solution: str) -> str | None:
    r"""What stands in the last \boxed{...} whose braces close; None without one."""
    start = solution.rfind(BOXED)
    while start >= 0:
        depth = 0
        for place in range(start + len(BOXED) - 1, len(solution)):
            depth += {"{": 1, "}": -1}.get(solution[place], 0)
            if depth == 0:
                return solution[start + len(BOXED) : place].strip() or None
        start = solution.rfind(BOXED, 0, start)
    return None


def _answer(value: Any) -> str:
    said = "" if value is None else str(value).strip()
    return f"The answer is ${said}$." if said else ""


def _tagged(question: Any, solution: Any) -> Row | Skip:
    """A solution that opens with one think block."""
    match = THINK_BLOCK.match((solution or "").lstrip())
    if match is None:
        return NO_REASONING
    return _reasoned(question, match[1], (solution or "").lstrip()[match.end() :])


def _reasoned(question: Any, thought: Any, answer: Any) -> Row | Skip:
    question, thought, answer = ((value or "").strip() for value in (question, thought, answer))
    if not question:
        return NO_CONVERSATION
    if not thought or THINK_TAG.search(thought):
        return NO_REASONING
    if not answer or THINK_TAG.search(answer):
        return NO_ANSWER
    parts = [{"type": "think", "text": f"\n{thought}\n"}, {"type": "text", "text": f"\n{answer}"}]
    return _checked({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": parts}]})


def _chat(turns: Iterable[tuple[Any, Any]]) -> Row | Skip:
    said = [_message(*_role(role, content)) for role, content in turns]
    if not said or any(not message["content"] for message in said) or said[-1]["role"] != "assistant":
        return NO_CONVERSATION
    return _checked({"messages": said})


def _pair(chosen: Any, rejected: Any) -> Row | Skip:
    """Two conversations that are the same up to the last answer."""
    sides = [[_message(*_role(m["role"], m["content"])) for m in side or ()] for side in (chosen, rejected)]
    good, bad = sides
    if not good or good[:-1] != bad[:-1] or any(side[-1]["role"] != "assistant" for side in sides):
        return Skip("the two do not answer the same question")
    if good[-1] == bad[-1]:
        return Skip("chosen and rejected are the same")
    for side in sides:
        if not side[-1]["content"] or isinstance(_checked({"messages": side}), Skip):
            return NO_CONVERSATION
    return {"prompt": good[:-1], "chosen": [good[-1]], "rejected": [bad[-1]]}


def _text(body: Any) -> Row | Skip:
    if not isinstance(body, str) or not body.strip():
        return Skip("no text")
    return {"text": body}


def _role(role: Any, content: Any) -> tuple[str, str]:
    return ROLES.get(str(role), str(role)), content if isinstance(content, str) else ""


def _message(role: str, content: str) -> Row:
    parts: str | list[Row] = content
    if role == "assistant":
        parts = [{"type": "text", "text": content}] if content.strip() else ""
    return {"role": role, "content": parts}


def _checked(row: Row) -> Row | Skip:
    try:
        parse_row(row, source="row")
    except BadInput:
        return NO_CONVERSATION
    return row
