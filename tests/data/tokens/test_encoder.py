"""Ids of many documents at once are tiktoken's, document by document."""

import random
import sys
from functools import cache

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.chat.markup import SPECIALS
from samosa.chat.tokenizer import PATTERN, Tokenizer, train_tokenizer
from samosa.data.shards import stdlib_documents
from samosa.data.tokens import encoder as encoder_module
from samosa.data.tokens.encoder import DocumentEncoder, id_dtype
from samosa.errors import SamosaError

BLANK = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]  # Python's: more than tiktoken's
NASTY = st.sampled_from([*BLANK, *" \n\r\t", *"\x00\x01\x02aÉſ1½!ही语\u200d", "'s", "'LL", "👍🏽", "<|bos|>"])
TEXTS = st.lists(st.lists(NASTY, max_size=12).map("".join), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer(stdlib_documents(limit_chars=60_000, seed=1), 600)


def one_by_one(tokenizer, texts):
    """The same by tiktoken alone, from the vocabulary."""
    plain = plain_tiktoken(tokenizer)
    return [[tokenizer.bos, *plain.encode_ordinary(text)] for text in texts]


@cache
def plain_tiktoken(tokenizer):
    ranks = {tokenizer.token_bytes(i): i for i in range(tokenizer.vocab_size - len(SPECIALS))}
    return tiktoken.Encoding("plain", pat_str=tokenizer.pattern, mergeable_ranks=ranks, special_tokens={})


def split(ids, lengths):
    assert lengths.sum() == ids.size
    ends = lengths.cumsum().tolist()
    return [ids[end - n : end].tolist() for end, n in zip(ends, lengths.tolist(), strict=True)]


def test_blanks_before_text_are_split_as_tiktoken_splits_them(words, monkeypatch):
    monkeypatch.setattr(encoder_module, "TRIED", 0)  # so that it is compared here and nowhere else
    encode = DocumentEncoder(words).encode

    @settings(max_examples=30)
    @given(TEXTS)
    def same(texts):
        assert split(*encode(texts)) == one_by_one(words, texts)

    same()


def test_characters_used_inside_are_text_like_any_other(words):
    reserved = [character for pair in encoder_module.PAIRS for character in pair]
    texts = [f"  {a}  {b} x\t {a}{b}" for a in reserved for b in reserved[::5]] + ["".join(reserved)]
    assert split(*DocumentEncoder(words).encode(texts)) == one_by_one(words, texts)


@pytest.mark.soak
def test_a_run_of_blanks_that_overflows_tiktokens_stack_is_encoded(words):
    run = " " * 1_000_000
    piece = plain_tiktoken(words)._core_bpe.encode_single_piece
    (ids,) = split(*DocumentEncoder(words).encode([run + "x"]))
    assert ids == [words.bos, *piece(run[1:].encode()), *piece(b" x")]


def test_another_split_pattern_is_used_as_it_is(words):
    letters = Tokenizer(
        pattern=r"\p{L}+(?!\d)|\s|.",
        ranks={words.token_bytes(i): i for i in range(words.vocab_size - len(SPECIALS))},
        specials=words.specials,
    )
    texts = ["", "one  two3   four", "\x01 odd\x02", "<|bos|>"]
    assert letters.pattern != PATTERN
    assert split(*DocumentEncoder(letters).encode(texts)) == one_by_one(letters, texts)


def test_marker_text_in_a_document_is_text_and_bos_only_begins_one(words):
    ids, lengths = DocumentEncoder(words).encode(["<|bos|><|assistant_end|>", "", "\x02\x01<|bos|>"])
    assert (ids >= words.vocab_size - len(SPECIALS)).sum() == (ids == words.bos).sum() == len(lengths) == 3


def test_ids_that_are_not_tiktokens_are_an_error(words, monkeypatch):
    monkeypatch.setattr(encoder_module, "EASY", r"\S+|\s+")
    with pytest.raises(SamosaError, match="splits this text in two ways"):
        DocumentEncoder(words).encode(["two words"])


@pytest.mark.parametrize(("size", "bytes_each"), [(1 << 16, 2), ((1 << 16) + 1, 4)])
def test_ids_take_two_bytes_where_the_vocabulary_fits(size, bytes_each):
    assert id_dtype(size).itemsize == bytes_each


def mixed(seed: int, characters: int):
    """Prose and code, sliced anywhere; pages of any script; blanks of every kind among them."""
    draw = random.Random(seed)
    library = list(stdlib_documents(limit_chars=min(characters, 13_000_000), seed=seed))
    scripts = [(0x20, 0x7F), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0x2000, 0x206F),
               (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF), (0x0, 0x20)]  # fmt: skip
    while characters > 0:
        text = draw.choice(library)
        at = draw.randrange(len(text))
        text = text[at : at + draw.randrange(1, 6000)]
        if draw.random() < 0.3:
            low, high = draw.choice(scripts)
            text += "".join(chr(draw.randrange(low, high)) for _ in range(draw.randrange(200)))
        if draw.random() < 0.2:
            pieces = text.split(" ")
            text = "".join(piece + draw.choice([" ", "  ", " \t", "\u3000", "\n   ", "\xa0 "]) for piece in pieces)
        characters -= len(text)
        yield text


def differing(tokenizer, texts):
    found = split(*DocumentEncoder(tokenizer).encode(texts))
    return [text for text, ids, wanted in zip(texts, found, one_by_one(tokenizer, texts), strict=True) if ids != wanted]


def test_mixed_text_gets_the_ids_of_tiktoken(words, soak_seed):
    assert differing(words, list(mixed(soak_seed, 150_000))) == []


@pytest.mark.soak
def test_fifty_megabytes_of_mixed_text_get_the_ids_of_tiktoken(soak_seed):
    words = train_tokenizer(stdlib_documents(limit_chars=None, seed=1), 32768)
    size = 0
    texts: list[str] = []
    for text in mixed(soak_seed, 55_000_000):
        texts.append(text)
        size += len(text.encode())
        if len(texts) == 2000:
            assert differing(words, texts) == []
            texts = []
    assert size >= 50_000_000 and differing(words, texts) == []
