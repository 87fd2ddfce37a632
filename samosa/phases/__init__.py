"""The roadmap's phases: which stages run in which order, what they need, and what they will cost."""
