"""Calls that share requests (`with {batch: 20}`): who waits for whom, when a batch goes, and what becomes of one that is answered badly.

Calls of one place that differ in their data alone wait in a queue. It goes when it is full, or when nothing is under way that may bring
more: no call that this place waits for, and no loop that is held up until items are through. Once nothing at all is being sent, every
queue goes, so that no run ever stands still. That is looked at only when the event loop has had nothing new to say for some turns, since
what has just been answered may be on its way to a queue.

A batch is sent once. Where its reply is no list of the right length its halves are sent, down to single calls, which are sent as if
there were no batches; an entry that is not of the type asked for is asked again alone. So n calls in one batch send at most 2n - 1
requests (and what a single call sends again). One that does not fit the model's window, the size from which the model is dearer, or the
budget is divided before it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from rlmlang.errors import BudgetError
from rlmlang.lm.client import Client, Divided, Dropped
from rlmlang.lm.render import PROMPT_BYTES_PER_TOKEN, Part, fits_window, render_batch, utf8_length, worst_input_tokens
from rlmlang.lm.reply import BadReply
from rlmlang.lm.request import Reply, Request, Usage

if TYPE_CHECKING:
    from rlmlang.run.calls import Site
    from rlmlang.run.evaluate import Run

_TURNS: Final = 16  # of the event loop without news; a call that was answered reaches the next one within a few


@define(eq=False)
class Item:
    """A call that waits in a queue for others to share its request. `commit` makes its reply durable."""

    prompt: str
    parts: Sequence[Part]
    request: Request
    wanted: Callable[[], bool]
    commit: Callable[[Reply], Awaitable[None]]
    reply: asyncio.Future[Reply] = field(factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: BaseException) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)

    def alive(self) -> bool:
        return not self.reply.done() and self.wanted()

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return sum(utf8_length(text) for _, text in self.parts)


@define(eq=False)
class _Queue:
    site: Site
    run: Run
    items: list[Item] = field(factory=list)
    size: int = 0


class Batches:
    """The queues of one run. `paid` is told what each request of a place took."""

    def __init__(self, client: Client, paid: Callable[[Site, Request, Reply], None]) -> None:
        self.sending = 0  # requests handed to the client, of any call, and not done
        self._client = client
        self._paid = paid
        self._queues: dict[tuple[Any, ...], _Queue] = {}
        self._turns = 0
        self._watching = False

    async def ask(self, site: Site, run: Run, item: Item) -> Reply:
        """The reply to one call. Raises what sending it alone raises."""
        request = item.request
        key = (site, item.prompt, request.sample, request.messages[:-1])
        queue = self._queues.get(key)
        size = item.size
        if queue is not None and not self._has_room(queue, item, size):
            self._go(key)
            queue = None
        if queue is None:
            queue = self._queues[key] = _Queue(site, run, size=worst_input_tokens(request) - size)
        queue.items.append(item)
        queue.size += size
        if len(queue.items) >= site.batch:
            self._go(key)
        self.stir()
        return await item.reply

    def stir(self) -> None:
        """Something was asked or answered: soon after it is looked at which queues go."""
        self._turns = 0
        if self._queues and not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turns += 1
        if self._turns < _TURNS:
            asyncio.get_running_loop().call_soon(self._turn)
            return
        self._watching = False
        for queue in self._queues.values():
            if not all(item.alive() for item in queue.items):
                self._drop(queue)
        ready = [key for key, queue in self._queues.items() if not self._more_may_come(queue)]
        for key in ready or ([*self._queues] if not self.sending else []):
            self._go(key)

    def _more_may_come(self, queue: _Queue) -> bool:
        return queue.run.held > 0 or any(site.under_way for site in queue.site.upstream)

    def _drop(self, queue: _Queue) -> None:
        """Those that nobody wants any more."""
        for item in queue.items:
            if not item.alive():
                queue.size -= item.size
                item.fail(Dropped())
        queue.items = [item for item in queue.items if not item.reply.done()]

    def _go(self, key: tuple[Any, ...]) -> None:
        queue = self._queues.pop(key)
        if queue.items:
            self.sending += 1
            queue.run.spawn(self._sent(queue))

    async def _sent(self, queue: _Queue) -> None:
        try:
            await self._send(queue.site, queue.items, again=False)
        finally:
            self.sending -= 1
            self.stir()

    def _has_room(self, queue: _Queue, item: Item, size: int) -> bool:
        """Whether a batch can take one more; by a guess that `_fits` will judge."""
        model = item.request.model
        price = self._client.price(model)
        most = None if price is None else price.dearer_above
        if most is not None and queue.size + size > most:
            return False
        return model.context_window is None or (queue.size + size) // PROMPT_BYTES_PER_TOKEN <= model.context_window // 2

    def _fits(self, batch: Request) -> bool:
        price = self._client.price(batch.model)
        most = None if price is None else price.dearer_above
        return fits_window(batch) and (most is None or worst_input_tokens(batch) <= most)

    async def _send(self, site: Site, items: Sequence[Item], *, again: bool) -> None:
        """Sends calls together, until each has its reply or what it failed with. Raises nothing but CancelledError."""
        for item in items:
            if not item.alive():
                item.fail(Dropped())
        items = [item for item in items if not item.reply.done()]
        try:
            if len(items) == 1:
                await self._send_one(site, items[0], again)
            elif items:
                await self._send_all(site, items, again)
        except Exception as error:
            for item in items:
                item.fail(error)
        except BaseException:
            for item in items:
                item.fail(Dropped())
            raise

    async def _send_one(self, site: Site, item: Item, again: bool) -> None:
        reply = await self._client.send(item.request, alive=item.alive, commit=item.commit, again=again)
        self._paid(site, item.request, reply)
        if not item.reply.done():
            item.reply.set_result(reply)

    async def _send_all(self, site: Site, items: Sequence[Item], again: bool) -> None:
        batch = render_batch(items[0].prompt, [item.parts for item in items], [item.request for item in items])
        if not self._fits(batch):
            await self._send_halves(site, items, again)
            return
        shares: list[Reply] = []

        async def commit(reply: Reply) -> None:
            shares[:] = _shared(reply, items)
            good = [(item, share) for item, share in zip(items, shares, strict=True) if not isinstance(share.value, BadReply)]
            await asyncio.gather(*(item.commit(share) for item, share in good))

        try:
            reply = await self._client.send(batch, alive=lambda: any(item.alive() for item in items), commit=commit, again=again)
        except Divided as divided:
            self._paid(site, batch, divided.wasted)
            await self._send_halves(site, items, again=True)
            return
        except BudgetError:  # not sent: less may still fit
            await self._send_halves(site, items, again)
            return
        self._paid(site, batch, reply)
        bad = []
        for item, share in zip(items, shares, strict=True):
            if isinstance(share.value, BadReply):
                bad.append(item)
            elif not item.reply.done():
                item.reply.set_result(share)
        await asyncio.gather(*(self._send(site, [item], again=True) for item in bad))

    async def _send_halves(self, site: Site, items: Sequence[Item], again: bool) -> None:
        half = len(items) // 2
        await asyncio.gather(self._send(site, items[:half], again=again), self._send(site, items[half:], again=again))


def _shared(reply: Reply, items: Sequence[Item]) -> list[Reply]:
    """What a batch took, as the replies to its calls: by the bytes that each sent and got, in whole numbers whose sum is the whole."""
    good = [0 if isinstance(value, BadReply) else 1 for value in reply.value]
    sent = [ok * (1 + item.size) for ok, item in zip(good, items, strict=True)]
    got = [ok * (1 + len(str(value))) for ok, value in zip(good, reply.value, strict=True)]
    usage = reply.usage
    inputs, cached = _split(usage.input_tokens, sent), _split(usage.cached_tokens, sent)
    outputs = _split(usage.output_tokens, got)
    money = None if reply.nanodollars is None else _split(reply.nanodollars, [a + b for a, b in zip(sent, got, strict=True)])
    return [
        evolve(
            reply,
            value=value,
            usage=Usage(inputs[at], outputs[at], cached[at], usage.guessed),
            nanodollars=None if money is None else money[at],
            requests=1,
        )
        for at, value in enumerate(reply.value)
    ]


def _split(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` in parts, about as the weights are to one another."""
    total = sum(weights)
    ends = [whole * upto // total for upto in accumulate(weights)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
