"""Typed tree and inputs -> value: evaluator, memo, budget, report. `evaluate` is the entry; rlmlang/session starts it."""
