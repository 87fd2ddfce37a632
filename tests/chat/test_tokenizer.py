import hashlib
import os
import pickle
import resource
import subprocess
import sys

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from samosa.chat.markup import SPECIALS
from samosa.chat.tokenizer import PATTERN, Tokenizer, load_tokenizer, save_tokenizer, train_tokenizer
from samosa.errors import BadInput, NotReady
from tests.chat.strategies import quick, words


def test_encoding_is_nanochats(tokenizer, recorded):
    for text, ids in recorded["encode"]:
        assert tokenizer.encode(text) == ids
    texts = [text for text, _ in recorded["encode"]]
    assert tokenizer.encode_batch(texts) == [ids for _, ids in recorded["encode"]]


def test_prepend_and_append_are_specials_around_the_text(tokenizer, recorded):
    assert [tokenizer.bos, *tokenizer.encode("hello"), tokenizer.special("user_end")] == recorded[
        "encode_prepend_append"
    ]


def test_specials_go_by_name_with_or_without_brackets(tokenizer, recorded):
    assert tokenizer.specials == recorded["special_ids"]
    assert tokenizer.special("assistant_end") == tokenizer.special("<|assistant_end|>") == 495
    with pytest.raises(KeyError):
        tokenizer.special("think")


def test_each_token_decodes_as_nanochat_does(tokenizer, recorded):
    assert tokenizer.vocab_size == len(recorded["decode_each_token"]) == 500
    assert [tokenizer.decode([token]) for token in range(500)] == recorded["decode_each_token"]


def test_token_bytes_are_raw_and_empty_for_specials(tokenizer, recorded):
    ordinary = [bytes.fromhex(raw) for raw in recorded["token_raw_bytes"][:491]]
    assert [tokenizer.token_bytes(token) for token in range(500)] == ordinary + [b""] * 9
    for outside in (-1, 500):
        with pytest.raises(IndexError):
            tokenizer.token_bytes(outside)


@quick
@given(text=words)
def test_no_text_encodes_to_a_special_token(tokenizer, text):
    ids = tokenizer.encode(text)
    assert max(ids, default=0) < 491
    assert tokenizer.decode(ids) == text


def test_lone_surrogates_and_nuls_do_not_crash_encoding(tokenizer):
    assert tokenizer.encode("a\0b") == [97, 0, 98]
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a�b"


# ---- files


def test_saving_writes_nanochats_file_byte_for_byte(tokenizer, golden, tmp_path):
    save_tokenizer(tokenizer, tmp_path)
    assert (tmp_path / "tokenizer.pkl").read_bytes() == (golden / "tokenizer/tokenizer.pkl").read_bytes()
    assert load_tokenizer(tmp_path).hash == tokenizer.hash


def test_nanochat_reads_a_trained_tokenizer_with_plain_pickle(joining, tmp_path):
    save_tokenizer(joining, tmp_path)
    encoding = pickle.loads((tmp_path / "tokenizer.pkl").read_bytes())
    assert isinstance(encoding, tiktoken.Encoding)
    assert encoding.n_vocab == 290
    assert encoding.encode_ordinary("a <think>b") == joining.encode("a <think>b")
    assert encoding.encode_single_token("<|output_end|>") == 289 == joining.special("output_end")


def test_the_hash_is_of_the_vocabulary_not_of_the_file(tokenizer, joining, golden, tmp_path):
    encoding = pickle.loads((golden / "tokenizer/tokenizer.pkl").read_bytes())
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps(encoding, protocol=5))
    assert load_tokenizer(tmp_path).hash == tokenizer.hash != joining.hash
    assert len(tokenizer.hash) == len(hashlib.sha256().hexdigest())


def test_loading_needs_neither_torch_nor_a_network(golden):
    code = (
        "import sys, socket; socket.socket = None\n"
        "from samosa.chat import conversation, grammar, render, tokenizer\n"
        f"tokenizer.load_tokenizer({str(golden / 'tokenizer')!r})\n"
        "assert not {'torch', 'pydantic', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_tokenizer_is_not_ready(tmp_path):
    with pytest.raises(NotReady, match=r"tokenizer\.pkl"):
        load_tokenizer(tmp_path)


# ---- poison


class _Reduces:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def _victim(tmp_path):
    return f"touch {tmp_path / 'ran'}"


POISONS = {
    "os.system": lambda tmp: pickle.dumps(_Reduces(os.system, _victim(tmp))),
    "os.system, protocol 0": lambda tmp: f"cos\nsystem\n(S'{_victim(tmp)}'\ntR.".encode(),
    "builtins.eval": lambda tmp: pickle.dumps(_Reduces(eval, f"open({str(tmp / 'ran')!r}, 'w')")),
    "builtins.getattr": lambda tmp: pickle.dumps(_Reduces(getattr, tiktoken.Encoding, "__init__")),
    "a name inside the allowed class": lambda tmp: b"\x80\x04\x8c\x0dtiktoken.core\x8c\x11Encoding.__init__\x93.",
    "another name of the module": lambda tmp: b"ctiktoken.core\nfunctools\n.",
    "torch storage": lambda tmp: b"ctorch._utils\n_rebuild_tensor_v2\n.",
    "codecs": lambda tmp: pickle.dumps(b"ranks", protocol=2),
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_tokenizer_runs_nothing_and_is_named(name, tmp_path):
    data = POISONS[name](tmp_path)
    (tmp_path / "tokenizer.pkl").write_bytes(data)
    asked_for = next(
        f"{a}.{b}"
        for a, b in [
            ("posix", "system"), ("os", "system"), ("builtins", "eval"), ("builtins", "getattr"),
            ("tiktoken.core", "Encoding.__init__"), ("tiktoken.core", "functools"),
            ("torch._utils", "_rebuild_tensor_v2"), ("_codecs", "encode"),
        ]
        if a.encode() in data and b.encode() in data
    )  # fmt: skip
    with pytest.raises(BadInput) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path / "tokenizer.pkl") in caught.value.message
    assert asked_for in caught.value.message
    assert not (tmp_path / "ran").exists()


def test_poison_nested_in_a_real_vocabulary_runs_nothing(golden, tmp_path):
    encoding = pickle.loads((golden / "tokenizer/tokenizer.pkl").read_bytes())
    encoding._special_tokens["<|bos|>"] = _Reduces(os.system, _victim(tmp_path))
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps(encoding))
    with pytest.raises(BadInput, match="system"):
        load_tokenizer(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_an_encoding_named_instead_of_given_is_refused_without_fetching_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tiktoken.registry.get_encoding", lambda name: pytest.fail("tiktoken was asked to fetch"))
    (tmp_path / "tokenizer.pkl").write_bytes(b"\x80\x04\x8c\x0dtiktoken.core\x8c\x08Encoding\x93)\x81\x8c\x04gpt2b.")
    with pytest.raises(BadInput, match="its own vocabulary"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 2000, 4050])
def test_a_truncated_tokenizer_is_bad_input(golden, tmp_path, keep):
    (tmp_path / "tokenizer.pkl").write_bytes((golden / "tokenizer/tokenizer.pkl").read_bytes()[:keep])
    with pytest.raises(BadInput, match="truncated or not a pickle"):
        load_tokenizer(tmp_path)


def test_a_few_bytes_can_not_take_all_memory(tmp_path):
    (tmp_path / "tokenizer.pkl").write_bytes(b"]r\xff\xff\xff\x7f.")  # a memo of two billion places
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limits[1]))
    try:
        with pytest.raises(BadInput, match="memo place 2147483647 in 7 bytes"):
            load_tokenizer(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@quick
@given(data=st.binary(max_size=60))
def test_random_bytes_are_bad_input(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("random")
    (directory / "tokenizer.pkl").write_bytes(data)
    with pytest.raises(BadInput):
        load_tokenizer(directory)


def _with(**changes):
    ranks = {bytes([byte]): byte for byte in range(256)}
    specials = {name: 256 + place for place, name in enumerate(SPECIALS)}
    return {"pattern": PATTERN, "ranks": ranks, "specials": specials} | changes


def test_the_smallest_vocabulary_is_the_bytes_and_the_specials():
    assert Tokenizer(**_with()).encode("<|bos|>") == list(b"<|bos|>")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ranks": {b"a": 0}}, "single bytes"),
        ({"ranks": {bytes([byte]): byte + 1 for byte in range(256)}}, "0 to n-1"),
        ({"ranks": {chr(byte): byte for byte in range(256)}}, "bytes to integers"),
        ({"ranks": [b"a"]}, "not a dict"),
        ({"specials": {"<|endoftext|>": 256}}, "endoftext"),
        ({"specials": dict.fromkeys(SPECIALS, 256)}, "follow the last rank"),
        ({"specials": {name: place for place, name in enumerate(SPECIALS)}}, "follow the last rank"),
        ({"pattern": None}, "pattern"),
        ({"pattern": "(unclosed"}, "pattern"),
    ],
)
def test_what_is_no_nanochat_vocabulary_is_refused(changes, why, tmp_path):
    with pytest.raises(ValueError, match=why):
        Tokenizer(**_with(**changes))


def test_a_file_with_another_vocabulary_is_bad_input(tmp_path):
    ranks = {bytes([byte]): byte for byte in range(256)}
    other = tiktoken.Encoding("other", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 256})
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps(other))
    with pytest.raises(BadInput, match="not a nanochat vocabulary"):
        load_tokenizer(tmp_path)


# ---- training


def test_training_is_deterministic_and_learns_the_common_pairs():
    texts = ["the cat sat on the mat, the cat sat still"] * 50
    one, two = train_tokenizer(iter(texts), 275), train_tokenizer(iter(texts), 275)
    assert one.hash == two.hash
    assert len(one.encode("the cat sat")) < 8
    assert [one.special(name) for name in SPECIALS] == list(range(266, 275))


def test_training_makes_merges_by_count():
    # "ab" is the only pair that appears twice, "abab" is then the only one left of two tokens
    tokenizer = train_tokenizer(["abab", "abab"], 267)
    assert tokenizer.token_bytes(256) == b"ab"
    assert tokenizer.token_bytes(257) == b"abab"


@pytest.mark.parametrize(("size", "why"), [(264, "too small"), (5000, "only")])
def test_a_vocabulary_that_cannot_be_is_bad_input(size, why):
    with pytest.raises(BadInput, match=why):
        train_tokenizer(["a few words"], size)
