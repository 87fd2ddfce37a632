"""A model that says what it is told to: the real engine around it, so that a suite can be run without training."""

import torch

from samosa.chat.render import render_prompt
from samosa.chat.tools import Toolbox
from samosa.eval.fixture import ProbeSearch
from samosa.model.config import ModelConfig
from tests.eval.turns import ids_and_forced


class Puppet:
    """Follows one script of ids for each prompt; knows what it read from the cache, as a model does."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, scripts, vocab_size, *, sequence_len=2048):
        """scripts: {prompt ids: ids of the turn, what the tools will say included}."""
        self.prompts = list(scripts)
        self.turns = [scripts[prompt] for prompt in self.prompts]
        self.config = ModelConfig(
            sequence_len=sequence_len, vocab_size=vocab_size, n_layer=1, n_head=1, n_kv_head=1, n_embd=24
        )

    def __call__(self, ids, *, cache, lengths, rows=None):
        logits = torch.zeros(len(ids), self.config.vocab_size)
        for i, slot in enumerate(range(len(ids)) if rows is None else rows.tolist()):
            if lengths[i] == 0:
                continue
            held, more = int(cache.lengths[slot]), int(lengths[i])
            cache.k[0, slot, held : held + more, 0, 0] = ids[i, :more].to(cache.k.dtype)
            cache.lengths[slot] += more
            read = tuple(map(int, cache.k[0, slot, : held + more, 0, 0].tolist()))
            for prompt, turn in zip(self.prompts, self.turns, strict=True):
                if read[: len(prompt)] == prompt:
                    # Where its script is over, it goes on ending the turn.
                    logits[i, turn[min(len(read) - len(prompt), len(turn) - 1)]] = 9.0
        return logits


def puppet(probes, say, tokenizer, **options):
    """say(probe, result) -> the pieces of a turn: text, specials, and a bytes piece that stands for the tool's result;
    `result` maps a call's payload to that bytes piece."""
    scripts = {}
    for probe in probes:
        tools = Toolbox(ProbeSearch(probe))

        def result(payload, tools=tools):
            return tools.run(payload).payload.encode()

        ids, _ = ids_and_forced(tokenizer, *say(probe, result))
        scripts[tuple(render_prompt(probe.conversation, tokenizer))] = [*ids, tokenizer.special("assistant_end")]
    return Puppet(scripts, tokenizer.vocab_size, **options)
