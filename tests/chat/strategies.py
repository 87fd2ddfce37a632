"""Random rows for property tests: words with tags, markers, odd characters, in every layout that is read."""

from hypothesis import settings
from hypothesis import strategies as st

from samosa.chat.markup import SPECIALS, THINK_CLOSE, THINK_OPEN
from samosa.chat.turns import Conversation, Part, Turn

quick = settings(max_examples=60, deadline=None, database=None)

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
snippets = st.one_of(
    st.sampled_from([THINK_OPEN, THINK_CLOSE, "<", ">", "</", "\n", " ", ".", "<think", "|>", "<|", "नमस्ते", "🙂"]),
    st.sampled_from(SPECIALS),
    st.text(characters, max_size=6),
)
words = st.lists(snippets, max_size=8).map("".join)
tame_words = st.sampled_from(
    ["", " ", "\n", "hm", "42", "It is 42.", "\nyes", "<", ">", "a.", "b!", "<thin", "k>", "🙂"]
)

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)
json_objects = st.dictionaries(words, json_values, max_size=3)

text_entries = st.builds(lambda kind, text: {"type": kind, "text": text}, st.sampled_from(["text", "think"]), words)
bare_entries = st.builds(
    lambda kind, text: {"type": kind, "text": text}, st.sampled_from(["python", "python_output"]), words
)
call_entries = st.fixed_dictionaries(
    {"type": st.just("tool_call"), "tool_name": words, "arguments": json_objects}, optional={"text": st.just("")}
)
result_entries = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_name": words, "output": json_values},
    optional={
        "success": st.booleans(),
        "error": st.none() | words,
        "metadata": st.none() | json_objects,
        "text": st.just(""),
    },
)
entries = text_entries | bare_entries | call_entries | result_entries


@st.composite
def messages(draw) -> list[dict]:
    """A bare array that is a conversation."""
    out = [{"role": "system", "content": draw(words)}] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 4))):
        if number % 2:
            out.append({"role": "assistant", "content": draw(words | st.lists(entries, max_size=5))})
        else:
            out.append({"role": "user", "content": draw(words)})
    return out


@st.composite
def turns(draw) -> tuple[Part, ...]:
    """Assistant parts near the grammar: a well-formed turn, often with parts lost, doubled, swapped or put in."""
    said = words if draw(st.integers(0, 3)) == 0 else tame_words
    parts = [Part("think", draw(said))] if draw(st.booleans()) else []
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        parts += [Part("tool_call", draw(said)), Part("tool_result", draw(words))]
    parts.append(Part("text", draw(said)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(parts)))
        match draw(st.sampled_from(["drop", "double", "swap", "tag", "prose"])):
            case "drop":
                parts = parts[:place] + parts[place + 1 :]
            case "double":
                parts = parts[: place + 1] + parts[place:]
            case "swap":
                parts = parts[place:] + parts[:place]
            case "tag":
                parts.insert(place, Part("text", draw(st.sampled_from([THINK_OPEN, THINK_CLOSE]))))
            case "prose":
                parts.insert(place, Part(draw(st.sampled_from(["text", "think"])), draw(said), draw(st.booleans())))
    return tuple(parts)


def asked(parts: tuple[Part, ...]) -> Conversation:
    """A conversation of one question and this answer."""
    return Conversation((Turn("user", (Part("text", "q"),)), Turn("assistant", parts)), "test")
