"""How often Python looks for cycles during a run, and after it."""

from __future__ import annotations

import gc

import rlmlang
from rlmlang import Settings
from rlmlang.run.garbage import seldom


def test_as_often_as_before_once_the_last_run_is_over() -> None:
    before = gc.get_threshold()
    with seldom():
        inner = gc.get_threshold()
        with seldom():
            assert gc.get_threshold() == inner
        assert gc.get_threshold() == inner and inner[0] > before[0]
    assert gc.get_threshold() == before


def test_a_number_that_somebody_has_chosen_stays() -> None:
    before = gc.get_threshold()
    for chosen in (0, 1_000_000):
        gc.set_threshold(chosen)
        try:
            with seldom():
                assert gc.get_threshold()[0] == chosen
        finally:
            gc.set_threshold(*before)


def test_a_run_leaves_no_trace() -> None:
    before = gc.get_threshold()
    assert rlmlang.run("answer 1 + 1", Settings(memo="off")).answer == 2
    assert gc.get_threshold() == before
