"""Typed tree and inputs -> value: evaluator, memo, budget, report. `run` and `arun` are the entries; `evaluate` is the core."""
