"""A run in which no model answers: what it would ask before it needs a reply that is not in the memo, and how much of that the memo knows.

The program is evaluated as in a run, and nothing is sent. Calls that the memo answers go on; the others wait for ever, and once nothing
moves any more, that is what can be known. Of a list longer than LIVE_ITEMS only as many items are looked at. Nothing is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.errors import RlmError
from rlmlang.lm.client import Client
from rlmlang.lm.render import Part
from rlmlang.lm.request import Model, Request
from rlmlang.run.budget import Budget
from rlmlang.run.calls import Calls, Site
from rlmlang.run.evaluate import Run, compile_program, evaluate
from rlmlang.run.flow import Here
from rlmlang.run.memo import Memo
from rlmlang.run.nesting import Nesting, Solver
from rlmlang.run.still import UntilStill
from rlmlang.syntax import nodes as n


@frozen
class Asked:
    """What one place would ask: `calls` met, `from_memo` of them answered there, and `unpaid` different requests that are not."""

    calls: int = 0
    from_memo: int = 0
    unpaid: int = 0


@frozen
class Rehearsal:
    """`done`: the memo answers all of it, and nothing would be sent. `error`: the run would end with this, whatever a model says."""

    sites: Mapping[n.Node, Asked] = field(factory=dict)
    done: bool = False
    error: RlmError | None = None


def rehearse(
    checked: Checked,
    inputs: Mapping[str, Any],
    models: Mapping[str, Model],
    memo: Memo,
    stack: int,
    solver: Solver | None = None,
    nesting: Nesting | None = None,
) -> Rehearsal:
    """Rehearses a run, in a thread of its own with a stack of `stack` bytes."""
    found: list[Rehearsal] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(_rehearse(checked, inputs, models, memo, solver, nesting))
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(stack)
    try:
        thread = threading.Thread(target=work, name="rlm-rehearsal", daemon=True)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _rehearse(
    checked: Checked,
    inputs: Mapping[str, Any],
    models: Mapping[str, Model],
    memo: Memo,
    solver: Solver | None,
    nesting: Nesting | None,
) -> Rehearsal:
    compiled = compile_program(checked)
    calls = _Unanswered(Client(models, Budget()), memo)
    selector = UntilStill()
    done, stopped = False, None
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:

        async def main() -> None:
            selector.task = asyncio.current_task()
            await evaluate(compiled, inputs, Run(calls, limits.LIVE_ITEMS, solver=solver, nesting=nesting))

        try:
            runner.run(main())
            done = True
        except asyncio.CancelledError:
            pass  # what it waits for is a model
        except RlmError as error:
            stopped = error
    unpaid = Counter(id(site) for site in calls.unpaid.values())
    sites = {node: Asked(site.calls, site.from_memo, unpaid[id(site)]) for node, site in compiled.sites.items()}
    return Rehearsal(sites, done, stopped)


class _Unanswered(Calls):
    """Calls that wait for ever where the memo does not answer."""

    def __init__(self, client: Client, memo: Memo) -> None:
        super().__init__(client, memo)
        self.unpaid: dict[bytes, Site] = {}

    async def _fly(self, site: Site, here: Here, request: Request, key: bytes, prompt: str, parts: Sequence[Part]) -> Any:
        self.unpaid.setdefault(key, site.all[-1])  # of a solve, the place in the program
        await asyncio.get_running_loop().create_future()
