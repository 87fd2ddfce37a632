"""Rows for trying filters: made of what rules look for, what hides it from them and what only looks like it."""

import json
import random
from typing import Any

from hypothesis import strategies as st

PIECES = {
    "words": (
        "the¦a¦tea¦rain¦garden¦is¦and then¦because¦Samosas are fried.¦It costs 4 euros¦x = 3¦e.g.¦Well,¦no¦"
        "1 < 2¦a_b¦I¦i¦you¦we¦said the king¦of the¦table¦42¦3.5¦10 km¦B¦yes¦so¦Paris¦in the model¦my¦language¦"
        "model¦an AI¦AI¦a tool"
    ).split("¦"),
    "tags": (
        "<b>¦</b>¦<i>¦</EM >¦<br/>¦<br>¦<p class=\"x\">¦<div>¦</div>¦<a href='https://e.org'>¦<input disabled>¦"
        "<3¦a<b and c>d¦List<String>¦<your name>¦<https://e.org>¦<B¦<think>¦&lt;b&gt;¦3 <b> 5¦<h2>¦</table>¦"
        "<code>¦Vec<i32>¦<s>¦<ul><li>"
    ).split("¦"),
    "labels": (
        "Answer:¦answer:¦**Answer:**¦Final answer:¦final Answer: 42¦### Response:¦Q:¦> Answer: x¦"
        "Answer: $x = 3$¦Q1:¦Answer :¦Response:¦The answer:¦**Final answer:** 7 pm¦Answer: B¦- Answer: so it is¦"
        "Answer: \\boxed{3}¦Answers:"
    ).split("¦"),
    "images": (
        "![¦![cat]¦![]()¦![x](#)¦![a](placeholder)¦![a](https://e.org/a.png)¦![a](img/a.png)¦![a][r]¦"
        "[r]: https://e.org¦vec![1]¦![a]: b¦![a].len()¦!¦[¦]¦(¦)¦![b](url)¦![c](https://)¦![1, 2](x)¦n![2]¦![r]¦"
        "[cat]: /c.png¦![[a] b]¦![a](placeholder.png)"
    ).split("¦"),
    "emoji": ("😀¦🔥¦❤️¦👍🏽¦🇮🇳¦1️⃣¦👨‍👩‍👧¦🎉🎉¦☀️¦✅¦⭐¦🥟¦★¦♠¦™¦©¦→¦😀😀😀¦🔥 🔥 🔥¦♠️¦❤¦🏴‍☠️¦#️⃣¦©️").split("¦"),
    "phrases": (
        "As an AI language model¦as an AI¦As an AI,¦As an AI researcher¦As a large language model, I¦"
        "I'm just an AI¦as an AI I am¦As an artificial intelligence, I¦I cannot provide¦I can’t provide¦"
        "I can't help with that¦I'm sorry, but I can't¦I'm sorry¦Unfortunately, I cannot¦I am unable to assist¦"
        "if I cannot provide¦you cannot provide¦I can't help but¦i cannot stress¦I must decline to provide¦"
        "I apologize, but I am not able to¦\"¦“¦”¦'¦‘¦’¦said:¦the phrase¦**¦*¦_¦—¦:¦."
    ).split("¦"),
    "code": (
        "`¦``¦```¦````¦~~~¦```python¦`x`¦`<b>`¦``a`b``¦    x = 1¦~~¦```js const a = 1```¦- ```¦> ```¦1. ```¦"
        "```~¦~~~`¦`` ` ``"
    ).split("¦"),
    "marks": (
        "<think>¦</think>¦<think>why not</think>¦<|python_start|>¦<|python_end|>¦<|output_start|>¦"
        "<|output_end|>¦<|bos|>¦<|python_start|>1+1<|python_end|><|output_start|><b>2</b><|output_end|>¦"
        "<|assistant_end|>¦<|"
    ).split("¦"),
    "scripts": (
        "समोसा बहुत अच्छा है¦नमस्ते¦Привет, мир¦北京是首都¦café¦naïve¦α + β¦धन्यवाद means thanks¦Ünïcödé¦日本語¦Ελλάδα¦"
        "한국어 단어¦é"
    ).split("¦"),
    "odd": ("\u200b¦\xa0¦\u200d¦\u2028¦\ufeff¦ｂ¦Ｉ ｃａｎｎｏｔ¦\xad¦𝐀𝐬¦\u202e¦\x01¦\t¦\r¦\u200c¦\u3000¦\x0c").split(
        "¦"
    ),
    "signs": ("...¦---¦…¦-¦***¦| a | b |¦|---|---|¦}¦{¦);¦##¦1.¦- ¦* ¦> ¦$$¦=¦_¦no no no¦===¦🙂¦()¦,¦;¦?!¦|").split(
        "¦"
    ),
}
EVERY = [piece for pieces in PIECES.values() for piece in pieces]
SPACES = [" ", " ", " ", "", "", "\n", "\n", "\n\n", " \n", "\r\n", "  "]
LAYOUTS = ("messages", "bare", "conversation", "sharegpt", "openai", "parts", "pair")
SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system"}


def text_of(rng: random.Random) -> str:
    """A text that leans on two kinds of fragments, and now and then says a line or a phrase many times."""
    kinds = rng.sample(list(PIECES), 2)
    said: list[str] = []
    for _ in range(rng.choice([0, 1, 2, 4, 8, 8, 16, 30])):
        draw = rng.random()
        pool = PIECES["words"] if draw < 0.4 else PIECES[rng.choice(kinds)] if draw < 0.9 else EVERY
        piece = rng.choice(pool)
        if rng.random() < 0.03:
            piece = (piece + rng.choice(SPACES)) * rng.choice([2, 3, 3, 6, 7, 13])
        said += (piece, rng.choice(SPACES))
    return "".join(said)


def message(role: str, text: str, layout: str) -> dict[str, Any]:
    """A message as a layout writes it."""
    if layout == "sharegpt":
        return {"from": SHAREGPT[role], "value": text}
    if layout == "openai" or (layout == "parts" and role == "assistant"):
        half = len(text) // 2
        return {"role": role, "content": [{"type": "text", "text": t} for t in (text[:half], text[half:])]}
    return {"role": role, "content": text}


def laid_out(turns: list[tuple[str, str]], layout: str) -> Any:
    """(role, text) pairs as a row of one of LAYOUTS."""
    messages = [message(role, text, layout) for role, text in turns]
    if layout == "bare":
        return messages
    if layout == "conversation":
        return {"conversation": {"messages": messages}, "id": 7}
    if layout == "sharegpt":
        return {"id": "x", "conversations": messages}
    if layout == "pair":
        return {"prompt": messages[:-1], "chosen": messages[-1:], "rejected": messages[-1:]}
    return {"messages": messages}


def line_of(row: Any, *, escaped: bool) -> bytes:
    """A row as a line of JSON."""
    return json.dumps(row, ensure_ascii=escaped).encode()


def row_of(rng: random.Random) -> Any:
    """A row of any layout with one to three answers."""
    turns = [("system", text_of(rng))] if rng.random() < 0.1 else []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        turns += [("user", text_of(rng)), ("assistant", text_of(rng))]
    return laid_out(turns, rng.choice(LAYOUTS))


def broken_line(rng: random.Random) -> bytes:
    """A line that is no conversation."""
    line = line_of(row_of(rng), escaped=True)
    return rng.choice(
        [
            line[: len(line) // 2],
            b"[]",
            b"17",
            b'{"text": "no messages"}',
            b'[{"role": "wizard", "content": "x"}]',
            b'[{"role": "user"}, {"role": "assistant", "content": "x"}]',
            b'[{"role": "user", "content": "x"}, {"role": "assistant", "content": "\\ud83d alone"}]',
            b'[{"role": "user", "content": "x"}, {"role": "assistant", "content": "a\xff\xfe"}]',
            b'[{"role": "user", "content": "x"}, {"role": "assistant", "content": 7}]',
        ]
    )


def lines(count: int, seed: int) -> list[bytes]:
    """`count` lines, one in fifty broken; the same for the same seed."""
    rng = random.Random(seed)
    return [
        broken_line(rng) if rng.random() < 0.02 else line_of(row_of(rng), escaped=rng.random() < 0.3)
        for _ in range(count)
    ]


def texts() -> st.SearchStrategy[str]:
    """Texts of fragments and of characters, for hypothesis to shrink."""
    piece = st.one_of(st.sampled_from(EVERY), st.sampled_from(SPACES), st.sampled_from("ab1 `~<>[]()!*:\n|"))
    return st.lists(piece, max_size=24).map("".join)


def rows() -> st.SearchStrategy[Any]:
    """Rows of one or two answers of those texts, in any layout."""
    pairs = st.lists(st.tuples(texts(), texts()), min_size=1, max_size=2)
    turns = pairs.map(lambda said: [turn for q, a in said for turn in (("user", q), ("assistant", a))])
    return st.builds(laid_out, turns, st.sampled_from(LAYOUTS))
