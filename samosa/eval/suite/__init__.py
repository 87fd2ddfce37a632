"""The full suite: anchors written by hand and templates drawn by seed, in the categories of the roadmap."""
