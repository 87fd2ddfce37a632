import io

import numpy as np
import pytest

from samosa.data.dedup.bands import Banding, BandWriter, band_hashes, banding, read_band, signatures
from samosa.data.dedup.shingles import Shingles
from samosa.errors import BadInput


def pairs_alike(similarity: float, count: int, size: int, seed: int) -> tuple[Shingles, float]:
    """Texts 2i and 2i + 1 share so many of `size` random shingles each that they are just so similar, or a bit more."""
    shared = int(np.ceil(2 * size * similarity / (1 + similarity)))
    hashes = np.random.default_rng(seed).integers(0, 2**63, (count, 2 * size - shared), dtype=np.uint64)
    both = np.stack([hashes[:, :size], hashes[:, size - shared :]], axis=1)
    return Shingles(both.ravel(), np.arange(0, both.size + 1, size)), shared / (2 * size - shared)


@pytest.mark.parametrize(("threshold", "size"), [(0.8, 10), (0.8, 200), (0.6, 60)])
def test_pairs_at_the_threshold_meet_as_often_as_was_asked(threshold, size, soak_seed):
    cut = banding(threshold, 0.999, 192)
    texts, similarity = pairs_alike(threshold, 2000, size, soak_seed)
    hashes = band_hashes(signatures(texts, cut.slots, 7), cut)
    met = (hashes[:, ::2] == hashes[:, 1::2]).any(axis=0).mean()
    assert cut.found(threshold) >= 0.999 and cut.found(similarity) >= 0.999
    assert met >= 0.995  # of 2,000 pairs two are missed, by chance at most nine


def test_unlike_pairs_seldom_meet(soak_seed):
    cut = banding(0.8, 0.999, 192)
    texts, similarity = pairs_alike(0.3, 2000, 100, soak_seed)
    hashes = band_hashes(signatures(texts, cut.slots, 7), cut)
    met = (hashes[:, ::2] == hashes[:, 1::2]).any(axis=0).mean()
    assert met == pytest.approx(cut.found(similarity), abs=0.015)  # 1.8 % of them; four deviations are 0.012


def test_the_longest_bands_that_find_enough_are_taken():
    assert banding(0.8, 0.999, 192) == Banding(23, 6)
    assert Banding(22, 6).found(0.8) < 0.999 <= Banding(23, 6).found(0.8)
    assert banding(0.8, 0.999, 256).rows == 7 and banding(0.99, 0.999, 192).found(0.99) >= 0.999


def test_what_no_banding_finds_is_said():
    with pytest.raises(BadInput, match=r"2 values a row cannot find 99.90% of the pairs of similarity 0.3"):
        banding(0.3, 0.999, 2)


def test_a_band_is_read_back_from_blocks(tmp_path):
    file = io.BytesIO()
    writer = BandWriter(file)
    batches = [np.arange(3 * n, dtype=np.uint64).reshape(3, n) + np.uint64(100 * n) for n in (5000, 2, 4094)]
    for batch in batches:
        writer.add(batch)
    writer.flush()
    (tmp_path / "bands").write_bytes(file.getvalue())
    for band in range(3):
        read = np.concatenate(read_band(tmp_path / "bands", writer.blocks, 3, band))
        assert read.tolist() == np.concatenate([batch[band] for batch in batches]).tolist()
