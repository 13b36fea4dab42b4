"""Shares of a map in worker processes.

A map or filter whose calls the memo answers, or whose items are work before they call a model, takes as long as one core needs. Then
workers (lm/workers) take some of its items, a batch at a time. Each has the same program, compiled there (served.py), and the values that
the stage reads from outside. It looks calls up in the memo's file; for a reply that is not there it asks the run, if an item is enough work
for that to pay, and goes on with other items meanwhile. What it cannot do it hands back: an item that fails, or reads what is not known
there. The run does such an item itself, from its beginning.

Evaluation is pure, so nobody can tell where an item was done, or that it was begun twice. A worker sends nothing, keeps nothing and pays
nothing: the memo, rate limits, budget, the sharing of equal calls and the window of items under way are the run's alone, and exact. What a
finished item asked for is counted here as if it had been done here (share.py).

Nothing is shared out before a stage has kept its process busy for a while, and no longer than workers can do most of what they get
(spread.py).
Not done here: programs that `solve` or that put several calls into a request; samples; pure loops, which the bound has mostly evaluated.
"""

from rlmlang.run.shards.share import Shards as Shards
