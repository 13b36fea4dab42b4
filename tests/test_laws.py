"""Laws of evaluation, on random well-typed programs and a model whose replies depend on the request alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import Reference
from scripted import SETTINGS, VirtualLoop
from typed_programs import AnyModel, TypedPrograms

import rlmlang
from rlmlang import BudgetError, Failure, LimitError, ProgramError, Result, RlmError, Settings, check
from rlmlang.cli.repl import Repl
from rlmlang.limits import REASKS
from rlmlang.lm import client
from rlmlang.lm.client import reask
from rlmlang.lm.config import Config, resolve_models
from rlmlang.lm.render import render
from rlmlang.lm.reply import BadReply, read_reply
from rlmlang.lm.request import Completion, ProviderError, Request
from rlmlang.solve.contexts import Context
from rlmlang.syntax import nodes as n
from rlmlang.values import conform, to_json_text

_SEEDS = st.integers(0, 1_000_000)
_LAW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_MODEL = resolve_models(Config(), model=SETTINGS.model, base_url=SETTINGS.base_url, concurrency=None, environ={})["virtual"]


class Replies(AnyModel):
    """`AnyModel`, with a latency drawn from another seed, and a count of what is asked and under way."""

    def __init__(self, seed: int, latency: int | None = None, trouble: float = 0.15) -> None:
        super().__init__(seed, trouble)
        self.latency = None if latency is None else Random(latency)
        self.asked = 0
        self.under_way = 0
        self.most = 0

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.001 if self.latency is None else self.latency.random())
            return await super().complete(request)
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        assert self.under_way == 0


def outcome(source: str, inputs: dict[str, Any], model: AnyModel, given: Settings) -> tuple[object, Result | None]:
    """The answer as JSON, or the kind of error that ended it; and the report."""

    def opened(_: object) -> AnyModel:
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "open_provider", opened)
        patch.setattr(asyncio, "Runner", partial(_Runner, loop_factory=VirtualLoop))
        try:
            result = rlmlang.run(source, given, **inputs)
        except RlmError as error:
            return _kind(error), error.result
    return json.dumps(result.to_json()["answer"], ensure_ascii=False), result


_Runner = asyncio.Runner


def program(seed: int) -> tuple[str, dict[str, Any]]:
    """A program that the checker takes, and its inputs."""
    while True:
        made = TypedPrograms(seed)
        source = made.program()
        try:
            if not check(source).errors:
                return source, made.inputs
        except ProgramError:
            pass
        seed += 1_000_003


@_LAW
@given(_SEEDS)
def test_the_value_is_that_of_the_reference(seed: int) -> None:
    source, inputs = program(seed)
    got, _ = outcome(source, inputs, Replies(seed), SETTINGS)
    wanted = _by_reference(source, inputs, Replies(seed))
    if LimitError not in (got, wanted):
        assert got == wanted, source


@_LAW
@given(_SEEDS, st.integers(1, 8), _SEEDS)
def test_the_value_does_not_depend_on_latency_or_concurrency(seed: int, concurrency: int, latency: int) -> None:
    source, inputs = program(seed)
    one, first = outcome(source, inputs, Replies(seed), evolve(SETTINGS, concurrency=1))
    model = Replies(seed, latency)
    many, second = outcome(source, inputs, model, evolve(SETTINGS, concurrency=concurrency))
    assert many == one, source
    assert model.most <= concurrency
    if first is not None and second is not None and first.used.failed == second.used.failed == 0 and isinstance(one, str):
        assert first.used.rounds == second.used.rounds, source


@_LAW
@given(_SEEDS, st.data())
def test_in_turns_the_value_is_the_same(seed: int, data: st.DataObject) -> None:
    source, inputs = program(seed)
    whole, _ = outcome(source, inputs, Replies(seed, trouble=0), SETTINGS)
    declared = check(source)
    parts = [""]
    for statement in declared.program.statements:
        if parts[-1] and data.draw(st.booleans(), label="a turn ends"):
            parts.append("")
        if not isinstance(statement, n.Input):
            parts[-1] += f"{statement.span.text}\n"
    contexts = [Context(i.name, i.type, conform(inputs[i.name], i.type), i.name) for i in declared.inputs]
    model = Replies(seed, trouble=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "open_provider", lambda _: model)
        with Repl(contexts, evolve(SETTINGS, memo="off"), Config()) as prompt:
            try:
                for part in parts:
                    value = prompt.start(prompt.prepare(part)).result()
            except (Failure, LimitError):  # of a binding that nothing needs, too
                return
    assert json.dumps(json.loads(to_json_text(value)), ensure_ascii=False) == whole, parts


@_LAW
@given(_SEEDS)
def test_every_call_is_accounted_for(seed: int) -> None:
    source, inputs = program(seed)
    model = Replies(seed, trouble=0.0)
    got, result = outcome(source, inputs, model, SETTINGS)
    if result is None:
        return  # refused before it began
    used = result.used
    assert used.requests == model.asked
    assert used.rounds <= used.calls
    answered = used.requests - used.retries + used.from_memo + used.shared
    assert answered <= used.calls, source
    if isinstance(got, str) and " otherwise " not in source:  # where something fails, calls not yet sent are dropped
        assert answered == used.calls, source
    for name, figure in (result.bound or {}).items():
        if name != "dollars":
            assert figure["max"] is None or getattr(used, name) <= figure["max"], (name, source)
            assert not isinstance(got, str) or getattr(used, name) >= figure["min"], (name, source)


@settings(_LAW, max_examples=20)
@given(_SEEDS)
def test_run_again_it_gives_the_same_and_pays_nothing(seed: int) -> None:
    source, inputs = program(seed)
    with TemporaryDirectory() as folder:
        kept = evolve(SETTINGS, memo=Path(folder) / "memo")
        first, _ = outcome(source, inputs, Replies(seed, trouble=0.0), kept)
        model = Replies(seed, trouble=0.0)
        again, _ = outcome(source, inputs, model, kept)
        assert again == first, source
        if isinstance(first, str):
            assert model.asked == 0, source


@_LAW
@given(_SEEDS, st.integers(1, 6))
def test_a_budget_is_never_overspent(seed: int, most: int) -> None:
    source, inputs = program(seed)
    free, _ = outcome(source, inputs, Replies(seed), SETTINGS)
    model = Replies(seed)
    got, _ = outcome(source, inputs, model, evolve(SETTINGS, budget=f"{most} calls"))
    assert model.asked <= most
    assert got in (free, BudgetError), source


def _by_reference(source: str, inputs: dict[str, Any], model: AnyModel) -> object:
    """The outcome as the reference has it."""
    checked = check(source)

    def ask(node: n.Call, prompt: str, data: list[tuple[str | None, Any]], sample: int, system: str | None) -> Any:
        options: dict[str, Any] = {o.name: o.value.value for o in node.options if isinstance(o.value, n.Literal)}
        most, temperature = options.get("max_tokens"), options.get("temperature")
        type_ = checked.reply_types[node]
        request = render(prompt, data, type_, _MODEL, max_tokens=most, temperature=temperature, sample=sample, system=system)
        return _reply(request, lambda asked: _now(model, asked))

    try:
        return json.dumps(Reference(checked, ask).answer(inputs), ensure_ascii=False)
    except (Failure, LimitError) as error:
        return _kind(error)


def _kind(error: RlmError) -> type[RlmError]:
    """The kind of an error. Where several calls fail, which of them is told is not in the law."""
    return Failure if isinstance(error, Failure) else type(error)


def _reply(request: Request, complete: Callable[[Request], Completion]) -> Any:
    asked = request
    for _ in range(REASKS + 1):
        try:
            completion = complete(asked)
            return read_reply(completion, request)
        except ProviderError as error:
            raise Failure(error.message) from None
        except BadReply as bad:
            asked = reask(request, completion.text, bad.message)
    raise Failure("no usable reply")


def _now(model: AnyModel, request: Request) -> Completion:
    """The model's reply, without a loop: all that it waits for is its latency."""
    waiting = AnyModel.complete(model, request)
    while True:
        try:
            waiting.send(None)
        except StopIteration as done:
            completion: Completion = done.value
            return completion
