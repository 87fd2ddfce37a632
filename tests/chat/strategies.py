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


def _wellformed(draw) -> list[Part]:
    """think? (call result)* answer."""
    parts = [Part("think", draw(words))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 3))):
        parts += [Part("tool_call", draw(words)), Part("tool_result", draw(words))]
    return [*parts, Part("text", draw(words))]


@st.composite
def turns(draw) -> tuple[Part, ...]:
    """Assistant parts near the grammar: a well-formed turn, often with parts swapped, lost or doubled."""
    parts = _wellformed(draw)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(parts) - 1)) if parts else 0
        match draw(st.sampled_from(["drop", "double", "swap", "prose"])):
            case "drop":
                parts = parts[:place] + parts[place + 1 :]
            case "double":
                parts = parts[: place + 1] + parts[place:]
            case "swap":
                parts = parts[place:] + parts[:place]
            case "prose":
                kind = draw(st.sampled_from(["text", "think"]))
                parts.insert(place, Part(kind, draw(words), glued=draw(st.booleans())))
    return tuple(parts)


def asked(parts: tuple[Part, ...]) -> Conversation:
    """A conversation of one question and this answer."""
    return Conversation((Turn("user", (Part("text", "q"),)), Turn("assistant", parts)), "test")
