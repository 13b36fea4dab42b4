"""Shares of a map in worker processes.

Where the memo answers the calls of a large map or filter, or few are made in it, nothing waits for a model, and the run takes as long as
one core needs. Then workers (lm/workers) take some of the items, a batch at a time. Each has the same program, compiled there (served.py),
and the values that the map reads from outside; it looks calls up in the memo's file, and hands back what it cannot do from that: an item
that asks for a reply which is not there, that fails, or reads what is not known there. Such an item is done anew by the run itself.
Evaluation is pure, so nobody can tell where an item was done; and as a worker sends nothing, keeps nothing and pays nothing, memo, rate
limits, budget and the sharing of calls are the run's alone, and exact. What a finished item asked for is counted here, as if it had been
done here (share.py).

Nothing is shared out before a stage has kept its process busy for a while with few requests (`SECONDS`), and no longer than the workers
can do most of what they get.
Not done here: programs that `solve` or that put several calls into a request; samples; runs without a memo store.
"""

from rlmlang.run.shards.share import Shards as Shards
