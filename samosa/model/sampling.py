"""Drawing the next token. A row's draw depends on its own seed, place and logits; never on the batch it is in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from samosa.errors import SamosaError

# Logits of one row in batches of different sizes differed by at most 8 eps of the largest (tiny and d6-like models,
# random and trained, fp32, one kind of CPU); what is closer than this counts as undecided.
ROUNDING = 128
BLOCK = 64  # logits
GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64: Steele, Lea & Flood 2014, fig. 17


def uniforms(seeds: Sequence[int], places: Sequence[int]) -> NDArray[np.float64]:
    """One number in [0, 1) for each (seed, place) pair, without any state: float64 [n].

    It is the place-th output of a SplitMix64 stream whose start is a hash of the seed, so that neighbouring seeds are
    as unlike as distant ones. Seeds count modulo 2**64.
    """
    seed = np.array([seed & 0xFFFFFFFFFFFFFFFF for seed in seeds], dtype=np.uint64)
    place = np.array(places, dtype=np.uint64)
    bits = _mix(_mix(seed + GAMMA) + (place + np.uint64(1)) * GAMMA)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Drawn(NamedTuple):
    """tokens: one a row. close: whether rounding could have made it another, so that it should be drawn again."""

    tokens: list[int]
    close: list[bool]


def sample(
    logits: Tensor,
    *,
    temperatures: Sequence[float],
    top_ks: Sequence[int | None],
    seeds: Sequence[int],
    places: Sequence[int],
) -> Drawn:
    """The next token of each row of logits [n, V].

    Temperature 0 takes the largest logit. Otherwise the `place`-th number of the row's seed picks from the softmax at
    that temperature over the row's `top_k` largest logits (None or 0: all of them; equal logits at the edge stay in).
    Raises SamosaError for a row whose largest logit is not a finite number: no token would be right.
    """
    tokens, best, second = _best_two(logits)
    if not bool(best.isfinite().all()):
        raise SamosaError(
            "the model's logits are not finite, so there is no next token",
            hint="use another checkpoint, or compute in float32",
        )
    rounding = ROUNDING * torch.finfo(logits.dtype).eps * best.abs().clamp(min=1.0)
    close = best - second <= rounding
    warm = [i for i, temperature in enumerate(temperatures) if temperature > 0]
    if warm:
        index = torch.tensor(warm, device=logits.device)
        heat = torch.tensor([temperatures[i] for i in warm], dtype=torch.float64, device=logits.device)
        draws = torch.from_numpy(uniforms([seeds[i] for i in warm], [places[i] for i in warm])).to(logits.device)
        kept = _keep_top(logits[index].double(), [top_ks[i] or 0 for i in warm])
        # Logits that are off by d change a probability p by no more than 2 d p (1 - p) / T.
        reach = (2 * rounding[index].double() / heat).clamp(max=1.0) * draws * (1 - draws)
        probabilities = _probabilities(kept, best[index].double(), heat)
        picked = _pick(probabilities, torch.stack([draws, draws - reach, draws + reach], dim=1))
        tokens[index] = picked[:, 0]
        close[index] = (picked[:, 1] != picked[:, 0]) | (picked[:, 2] != picked[:, 0])
    return Drawn(tokens.tolist(), close.tolist())


def _best_two(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(first id of the largest, it, the second largest) of each row of logits [n, V], each [n].

    By blocks: on a CPU the usual argmax takes ten times as long (52 rows of 32,768: 3.9 ms).
    """
    short = -logits.size(1) % BLOCK
    padded = F.pad(logits, (0, short), value=float("-inf")) if short else logits
    blocks = padded.unflatten(1, (-1, BLOCK))
    tops = blocks.amax(dim=-1)
    which = tops.argmax(dim=-1, keepdim=True)
    block = blocks[torch.arange(len(blocks), device=logits.device), which.squeeze(1)]
    inside = block.argmax(dim=-1, keepdim=True)
    without = (values.scatter(1, place, float("-inf")) for values, place in ((tops, which), (block, inside)))
    elsewhere, beside = (values.amax(dim=-1) for values in without)
    return (which * BLOCK + inside).squeeze(1), tops.amax(dim=-1), torch.maximum(elsewhere, beside)


def _keep_top(logits: Tensor, top_ks: list[int]) -> Tensor:
    """Logits [n, V] with those below each row's k-th largest at -inf; k of 0 keeps all."""
    size = logits.size(1)
    limits = [k if 0 < k < size else size for k in top_ks]
    most = max((k for k in limits if k < size), default=0)
    if most == 0:
        return logits
    best = logits.topk(most, dim=-1).values
    place = torch.tensor([min(k, most) - 1 for k in limits], device=logits.device).unsqueeze(1)
    edge = best.gather(1, place)
    limited = torch.tensor([k < size for k in limits], device=logits.device).unsqueeze(1)
    return logits.masked_fill(limited & (logits < edge), float("-inf"))


def _probabilities(logits: Tensor, best: Tensor, heat: Tensor) -> Tensor:
    """Softmax of logits [n, V] over temperatures [n], however small; best [n] is each row's largest logit."""
    best, heat = best.unsqueeze(1), heat.unsqueeze(1).clamp(max=torch.finfo(torch.float64).max)
    # A quotient may overflow; a distance to the largest logit may as well, but only to -inf, which is right.
    scaled = torch.where((best / heat).isfinite(), logits / heat, (logits - best) / heat)
    return torch.softmax(scaled, dim=-1)


def _pick(probabilities: Tensor, draws: Tensor) -> Tensor:
    """Inverse CDF in the order of the ids: probabilities [n, V], draws [n, k] in [0, 1) -> ids [n, k]."""
    summed = probabilities.cumsum(dim=-1)
    # Summed rounding may leave the last entry a little off 1, so draws are stretched to it; an id of no probability
    # is never taken, because its sum is not above the draw when the one before it is not.
    return torch.searchsorted(summed, draws * summed[:, -1:], right=True)
