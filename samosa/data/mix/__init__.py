"""Blends pools of conversations into one training set: exact numbers of rows, in an order that only the recipe decides.

Which rows are taken and which are held out follows from the seed, the pool's name and the rows themselves. The order
follows from the seed and the sources' order in the recipe, which decides nothing else.
"""

from samosa.data.mix.blend import Mixed, Share, Written, blended, read_rows
from samosa.data.mix.pools import Progress
from samosa.data.mix.shares import MixSource, training_rows

VERSION = "1"  # part of a mix's fingerprint: raise it when the same recipe gives other bytes

__all__ = ["VERSION", "MixSource", "Mixed", "Progress", "Share", "Written", "blended", "read_rows", "training_rows"]
