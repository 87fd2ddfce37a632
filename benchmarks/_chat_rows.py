"""Generated chat rows for measuring filters: `python -m benchmarks._chat_rows FILE ROWS SEED`.

Shaped like 67,608 real ChatGPT answers: about 1,750 bytes a row, 18 lines an answer, code fences in 24 %, characters
beyond ASCII in 6 %, short answers in 2 %; and in 8 % of the rows something the roadmap's rules look for, half of it
where it does no harm (in code or in the question).
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from samosa.data.generate.english import words

FUNCTION_WORDS = (
    "the of and to a in that is it for as with was on be by at which this from or an are not have but they can one you"
    " all were when we there been if more will so no out up about into than them then its only some could time these"
    " may first also any your how like our should each just those over after where most because through before must"
).split()
PLANTED = {
    "html": ["<b>{}</b>", "<i>{}</i>", "{}<br>", "<strong>{}</strong>", "<em>{}</em>", "<u>{}</u>"],
    "label": ["\nAnswer: {}", "\nResponse: {}\nand so on", "\nFinal answer: {}.", "\nQ: {}\nA: no."],
    "image": ["![{}]", "![{} of it] and more"],
    "emoji": ["{} 😀😁😂", "😊😊😊😊 {}", "{} 🚀🚀🚀!"],
    "persona": ["As an AI language model, {}", "However, as an AI language model I {}"],
    "refusal": ["I cannot provide {}", "Sorry, but I cannot provide {}."],
    "lines": ["\nthe {0} ends\nthe {0} ends\nthe {0} ends\n", "\n- {0}\n- {0}\n- {0}\n- {0}\n"],
}
BEYOND_ASCII = (
    "the naïve café|“quoted” words|it’s late|x² ≥ 0 — always|नमस्ते दोस्त|北京|well… yes|très bien|one 🙂".split("|")
)


class Text:
    """Paragraphs, lists and blocks of code, drawn from pools made once."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.words = words()
        self.paragraphs = [self._paragraph() for _ in range(3000)]
        self.lists = [self._list() for _ in range(600)]
        self.code = [self._code() for _ in range(600)]

    def word(self) -> str:
        return self.rng.choice(self.words)

    def sentence(self, length: int) -> str:
        said = [self.rng.choice(FUNCTION_WORDS) if self.rng.random() < 0.5 else self.word() for _ in range(length)]
        if length > 9:
            said[length // 2] += ","
        return " ".join(said).capitalize() + self.rng.choice("....?!:")

    def answer(self, budget: int) -> str:
        """About `budget` characters, of which code takes its share."""
        said, length = [], 0
        with_code = self.rng.random() < 0.29
        while length < budget:
            draw = self.rng.random()
            pool = self.code if with_code and draw < 0.4 else self.lists if draw > 0.8 else self.paragraphs
            said.append(self.rng.choice(pool))
            length += len(said[-1]) + 2
        return "\n\n".join(said)

    def _paragraph(self) -> str:
        sentences = [self.sentence(self.rng.randint(6, 22)) for _ in range(self.rng.randint(1, 5))]
        if self.rng.random() < 0.04:
            sentences.append(f"Use `{self.word()}({self.word()}[0])` for it.")
        if self.rng.random() < 0.02:
            sentences.insert(0, self.rng.choice(BEYOND_ASCII))
        return " ".join(sentences)

    def _list(self) -> str:
        items = [f"{n}. {self.sentence(self.rng.randint(4, 12))}" for n in range(1, self.rng.randint(4, 10))]
        return "\n".join(items)

    def _code(self) -> str:
        lines = [
            self.rng.choice(
                [
                    f"    {self.word()} = {self.word()}({self.rng.randint(0, 99)})",
                    f"    if {self.word()} < {self.rng.randint(0, 9)} and !{self.word()}:",
                    f"    return {self.word()}[{self.rng.randint(0, 9)}] * {self.rng.randint(0, 9)}",
                    f"<div class='{self.word()}'>{self.word()}</div>",
                    f"# {self.sentence(6)}",
                    f"}} // {self.word()}",
                ]
            )
            for _ in range(self.rng.randint(4, 22))
        ]
        return f"```{self.rng.choice(['python', 'js', 'html', 'c', ''])}\n" + "\n".join(lines) + "\n```"


def chat_rows(count: int, seed: int) -> Iterator[dict[str, object]]:
    """`count` rows {"messages": [...]} with string contents, the same for the same seed."""
    rng = random.Random(seed)
    text = Text(rng)
    for _ in range(count):
        pairs = 1 if rng.random() < 0.85 else rng.randint(2, 3)
        asked = [text.sentence(rng.randint(6, 30)) for _ in range(pairs)]
        if rng.random() < 0.3:
            asked[0] += "\n\n" + text.answer(500)
        budget = min(6000.0, rng.lognormvariate(6.6, 0.8)) / pairs
        said = [text.answer(int(budget)) for _ in range(pairs)]
        draw = rng.random()
        if draw < 0.022:
            said = [text.sentence(rng.randint(1, 5))[: rng.randint(1, 60)]]
            asked = asked[:1]
        elif draw < 0.102:
            _plant(rng, text, asked, said)
        contents = [
            {"role": role, "content": words}
            for pair in zip(asked, said, strict=True)
            for role, words in zip(("user", "assistant"), pair, strict=True)
        ]
        yield {"messages": contents}


def _plant(rng: random.Random, text: Text, asked: list[str], said: list[str]) -> None:
    """Put something the rules look for into a row: half of the time where it does harm."""
    artefact = rng.choice(rng.choice(list(PLANTED.values()))).format(text.word())
    place = rng.randrange(len(said))
    draw = rng.random()
    if draw < 0.5:
        at = rng.choice([0, said[place].find("\n") + 1, len(said[place])])
        said[place] = said[place][:at] + " " + artefact + " " + said[place][at:]
    elif draw < 0.75:
        said[place] += f"\n```\n{artefact}\n```"
    else:
        asked[place] += " " + artefact


def write_rows(path: Path, count: int, seed: int) -> int:
    """Write them as JSON lines, as json.dumps writes them. Returns the bytes."""
    with path.open("w", encoding="utf-8") as file:
        for row in chat_rows(count, seed):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path.stat().st_size


if __name__ == "__main__":
    print(write_rows(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
