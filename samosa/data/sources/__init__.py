"""Data that others made: a registry of it, and pulling it from the Hub as rows samosa reads."""
