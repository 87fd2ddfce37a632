"""Benchmarks that others made: CORE, MMLU, ARC and GSM8K, each with the arithmetic that its numbers are quoted for."""
