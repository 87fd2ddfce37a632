"""A model that says what it is told to, with the real cache and engine around it."""

import torch

from samosa.model.config import ModelConfig


class Scripted:
    """Says script `n` after any prompt whose last token is `n`, one id a place, then ends the turn.

    It knows its place from the cache as a model does, so what a tool says takes up places of the script too.
    """

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, tokenizer, *scripts):
        self.scripts = scripts
        self.end = tokenizer.special("assistant_end")
        self.config = ModelConfig(
            sequence_len=2048, vocab_size=tokenizer.vocab_size, n_layer=1, n_head=1, n_kv_head=1, n_embd=24
        )
        self.reads = []  # tokens read in each call

    def __call__(self, ids, *, cache, lengths, rows=None):
        logits = torch.zeros(len(ids), self.config.vocab_size)
        logits[:, 0] = 1.0  # what it says where it may not say what it should: never a tie
        self.reads.append(int(lengths.sum()))
        for i, slot in enumerate(range(len(ids)) if rows is None else rows.tolist()):
            count = int(lengths[i])
            if count and cache.lengths[slot] == 0:  # a prompt: remember which script, and where it starts
                cache.prev_embedding[slot, 0] = ids[i, count - 1].item()
                cache.prev_embedding[slot, 1] = count
            cache.lengths[slot] += count
            script = self.scripts[int(cache.prev_embedding[slot, 0])]
            place = int(cache.lengths[slot] - cache.prev_embedding[slot, 1])
            logits[i, script[place] if place < len(script) else self.end] = 9.0
        return logits


def speak(tokenizer, *pieces):
    """Ids of the pieces: ids as they are, specials by their bare name in <>, the rest as text."""
    ids = []
    for piece in pieces:
        if isinstance(piece, int):
            ids.append(piece)
        else:
            ids += [tokenizer.special(piece[1:-1])] if piece[:1] == "<" else tokenizer.encode(piece)
    return ids


def called(tokenizer, payload, observation, *after):
    """The ids of a call with its observation, then what follows."""
    before = ["<python_start>", payload, "<python_end>"]
    return speak(tokenizer, *before, "<output_start>", observation, "<output_end>", *after)


def observations(tokenizer, finished):
    """The forced texts between output markers."""
    text = tokenizer.decode([i for i, forced in zip(finished.ids, finished.forced, strict=True) if forced])
    return [piece.split("<|output_end|>")[0] for piece in text.split("<|output_start|>")[1:]]
