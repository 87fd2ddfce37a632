"""Models of known pass rates, for simulating the gate: templates and instances differ, as real ones do."""

from dataclasses import dataclass

import numpy as np

from samosa.eval import full_gate
from samosa.eval.gate import Outcome
from samosa.eval.settings import FullGate
from samosa.eval.tries import Counts, Pairs

CATEGORIES = 14  # the roadmap's
TEMPLATES = 20  # of each category; the joint suite has 22 to 29
BETWEEN_TEMPLATES = 0.03  # share of the variance of single tries that is between templates
BETWEEN_INSTANCES = 0.10  # and between the instances of a template


@dataclass
class World:
    """A suite and the rates at which models pass its instances."""

    settings: FullGate
    rng: np.random.Generator
    templates: int = TEMPLATES
    between_templates: float = BETWEEN_TEMPLATES
    between_instances: float = BETWEEN_INSTANCES

    def __post_init__(self):
        named = [name for name in self.settings.floors if name != "overall"]
        names = named + [f"category {i}" for i in range(CATEGORIES - len(named))]
        self.names = np.array(names)
        self.sizes = [self.settings.counts.get(name, self.settings.per_category) for name in names]

    def rates(self, rate, rounds):
        """Of one model: each instance's pass rate, [rounds][instances]; `rate` by category or for all."""
        rate = np.broadcast_to(rate, CATEGORIES)
        by_template = _spread(np.repeat(rate, self.templates), self.between_templates, self.rng)
        return [_spread(by_template[self.template], self.between_instances, self.rng) for _ in range(rounds)]

    @property
    def template(self):
        """The template of each instance of a round."""
        return np.concatenate([i * self.templates + np.arange(n) % self.templates for i, n in enumerate(self.sizes)])

    def gate(self, model, champion=None, *, same=False):
        """The outcome of the sequential gate. model, champion: rates by category or for all; `same`: the champion is
        the model itself, asked again at the same instances."""
        settings, rounds = self.settings, self.settings.rounds
        own = self.rates(model, rounds)
        other = own if same else None if champion is None else self.rates(champion, rounds)
        passes, before = [], []
        tries = settings.samples + 1
        for look in range(1, rounds + 1):
            passes.append(self.rng.binomial(tries, own[look - 1]))
            if other is not None:
                before.append(self.rng.binomial(tries, other[look - 1]))
            parts = self.parts(passes, before if other is not None else None, looks=look)
            outcome = full_gate.worst(parts)
            if outcome is not Outcome.INCONCLUSIVE:
                break
        return outcome, parts, look

    def parts(self, passes, before, *, looks):
        """What the gate says of these passes, [looks][instances]."""
        after, n = np.concatenate(passes), sum(self.sizes) * looks
        categories = np.tile(np.repeat(self.names, self.sizes), looks)
        templates, ids = np.tile(self.template, looks), np.arange(n)
        tries = np.full(n, self.settings.samples + 1)
        nothing = np.zeros(n, dtype=np.int64)
        counts = Counts(ids, categories, templates, after, tries, nothing, nothing, nothing)
        pairs = None
        if before is not None:
            pairs = Pairs(ids, categories, templates, np.concatenate(before), after, tries)
        return full_gate.judge(counts, pairs, self.settings, looks=looks)


def _spread(means, share, rng):
    """Rates around `means`, of which `share` of the variance of single tries comes: Beta with that correlation."""
    if share == 0:
        return means
    size = (1 - share) / share
    means = np.clip(means, 1e-9, 1 - 1e-9)  # a rate that was drawn as 1 to the last bit has no Beta around it
    return rng.beta(means * size, (1 - means) * size)
