"""Scripted replies (`script:PATH`), for tests and dry runs: rules from a file, the first whose pattern occurs in the prompt answers.

docs/script-models.md has the format. Everything is deterministic: a rule's delay is drawn from the request, faults come by count.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from attrs import define, evolve, frozen

from rlmlang import limits
from rlmlang.errors import UsageError
from rlmlang.lm.request import Completion, Model, ProviderError, Request, ToolCall, Usage, tools_json
from rlmlang.syntax.diagnostics import printable
from rlmlang.types import TEXT

_STATUS: Final = {"429": "too many requests", "500": "internal error", "503": "overloaded"}
_FAULTS: Final = (*_STATUS, "timeout", "drop", "refuse", "filter", "length", "empty", "garbage", "huge", "short")
_KEYS: Final = ("match", "reply", "calls", "raw", "delay", "fault", "retry_after", "times", "fail_at", "usage")
_USAGE_KEYS: Final = ("input_tokens", "output_tokens", "cached_tokens")
_BYTES_PER_TOKEN: Final = 4
_LONGEST_DELAY: Final = 3_600.0  # seconds
_SHOWN: Final = 200  # characters of a prompt that no rule takes
_GARBAGE: Final = '}{"valu\ufffd e": nope ]\x00'
_MISSING: Final = object()
_SPACE: Final = re.compile(r"\s*")


@frozen
class Rule:
    """One rule of the file, checked. `pattern` is a compiled google-re2 expression over UTF-8 bytes, None for any prompt; `calls` are the
    names and arguments of the tools that the reply calls."""

    pattern: Any
    reply: Any
    calls: tuple[tuple[str, Any], ...]
    raw: bool
    delay: tuple[float, float]
    fault: str | None
    retry_after: float | None
    times: int | None
    fail_at: frozenset[int] | None
    usage: Mapping[str, int] | None
    usage_missing: bool


@define
class _Served:
    """A rule and how many requests it has answered."""

    rule: Rule
    count: int = 0


class ScriptProvider:
    """Answers from the rules of the file `model.path`, read once. UsageError, with the line, when the file is no such thing."""

    def __init__(self, model: Model) -> None:
        self._name = model.name
        self._rules = [_Served(rule) for rule in read_rules(Path(model.path or ""))]
        self._served = 0

    async def complete(self, request: Request) -> Completion:
        """The reply of the first rule that matches, after its delay. ProviderError for a fault, and where no rule matches."""
        index = self._served
        self._served += 1
        prompt = _prompt(request)
        shown = prompt + tools_json(request.tools).encode("utf-8", "replace") if request.tools else prompt
        if request.batch:
            return await self._batch(request, prompt, index)
        served, groups = self._first(prompt)
        rule, nth = served.rule, served.count
        served.count += 1
        await asyncio.sleep(_delay(rule, request))
        if _is_due(rule, nth, index) and rule.fault != "short":
            return _fault(rule, request, shown, groups)
        if rule.calls:
            return _calling(rule, request, shown, groups)
        return _within_limit(rule, request, shown, _reply(rule, request, groups))

    async def _batch(self, request: Request, prompt: bytes, index: int) -> Completion:
        """Each item is answered by the first rule that matches its prompt alone; a fault of one meets the whole request."""
        found = [self._first(_prompt(item)) for item in request.batch]
        rules = [served.rule for served, _ in found]
        due = [_is_due(served.rule, served.count, index) for served, _ in found]
        for served in {id(served): served for served, _ in found}.values():
            served.count += 1
        await asyncio.sleep(max(_delay(rule, item) for rule, item in zip(rules, request.batch, strict=True)))
        values = [
            _entry(rule, item, groups) for (rule, item), (_, groups) in zip(zip(rules, request.batch, strict=True), found, strict=True)
        ]
        told = [rule.usage for rule in rules if rule.usage is not None]
        whole = evolve(
            rules[0],
            reply=values if request.schema is None else {"value": values},
            raw=False,
            usage={key: sum(usage.get(key, 0) for usage in told) for usage in told for key in usage} or None,
            usage_missing=any(rule.usage_missing for rule in rules),
        )
        text = json.dumps(whole.reply, ensure_ascii=False)
        fault = next((rule for rule, is_due in zip(rules, due, strict=True) if is_due), None)
        if fault is not None and fault.fault == "short":
            text = json.dumps(values[:-1] if request.schema is None else {"value": values[:-1]}, ensure_ascii=False)
        elif fault is not None:
            return _fault(evolve(whole, fault=fault.fault, retry_after=fault.retry_after), request, prompt, ())
        return _within_limit(whole, request, prompt, text)

    async def close(self) -> None:
        """Nothing is open."""

    def _first(self, prompt: bytes) -> tuple[_Served, tuple[str, ...]]:
        """The first rule that matches, and the texts of its groups, the whole match first."""
        for served in self._rules:
            if served.rule.pattern is None:
                return served, ("",)
            if (found := served.rule.pattern.search(prompt)) is not None:
                return served, tuple(text.decode("utf-8", "replace") for text in (found.group(), *found.groups(default=b"")))
        start = prompt.decode("utf-8", "replace")
        shown = printable(start[:_SHOWN]) + ("…" if len(start) > _SHOWN else "")
        raise ProviderError(f"no rule of {self._name} matches the prompt that begins: {shown}")


def _prompt(request: Request) -> bytes:
    """What rules are matched with."""
    said = [part for m in request.messages for part in (m.content, *(f"{c.name}({c.arguments})" for c in m.calls))]
    return "\n".join(said).encode("utf-8", "replace")


def _is_due(rule: Rule, nth: int, index: int) -> bool:
    """Whether the rule's fault meets its `nth` request, which is the run's `index`th."""
    if rule.fault is None:
        return False
    return (rule.times is None or nth < rule.times) and (rule.fail_at is None or index in rule.fail_at)


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file: JSON lines, or a JSON list. UsageError, with the line, when the file cannot be read or a rule is wrong."""
    name = printable(str(path), 300)
    try:
        if not path.is_file():
            raise UsageError(f"There is no file of rules {name}.")
        if path.stat().st_size > limits.FILE_BYTES:
            raise UsageError(f"{name} is too large for a file of rules ({limits.FILE_BYTES >> 20} MB at most).")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"Cannot read the rules {name}: {error.strerror or 'it cannot be opened'}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The rules {name} are not UTF-8 text.") from None
    rules = [_Reader(f"{name}:{line}").rule(value) for line, value in _values(text, name)]
    if not rules:
        raise UsageError(f"{name} holds no rules.", hint='The shortest is {"reply": "ok"}, which answers everything.')
    return rules


def _values(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """The JSON values of the file, each with its line."""
    if text.lstrip().startswith("["):
        yield from _items(text, name)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value, end = _decode(line, _after_space(line, 0), f"{name}:{number}")
            if line[end:].strip():
                raise UsageError(f"{name}:{number}: one rule a line: there is more after its end.")
            yield number, value


def _items(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """The items of a JSON list, one at a time, because the json module tells no lines."""
    at, line, counted = _after_space(text, text.index("[") + 1), 1, 0
    more = text[at : at + 1] != "]"
    while more:
        line, counted = line + text.count("\n", counted, at), at
        value, end = _decode(text, at, f"{name}:{line}")
        yield line, value
        at = _after_space(text, end)
        if more := text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
    if text[at : at + 1] != "]" or text[at + 1 :].strip():
        line += text.count("\n", counted, at)
        raise UsageError(f"{name}:{line}: a comma, or the closing ] at the end of the file, was expected.")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _decode(text: str, at: int, where: str) -> tuple[Any, int]:
    """The JSON value at `at`, and where it ends."""
    decoder = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    try:
        return decoder.raw_decode(text, at)
    except RecursionError:
        raise UsageError(f"{where}: the rule is nested too deep.") from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise UsageError(f"{where}: not valid JSON: {printable(reason, 200)}.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


@frozen
class _Reader:
    """Checks one rule; `where` is its file and line."""

    where: str

    def rule(self, raw: Any) -> Rule:
        if not isinstance(raw, dict):
            self.wrong('a rule is an object, such as {"match": "…", "reply": "…"}')
        for key in raw:
            if key not in _KEYS:
                self.wrong(f"`{key}` is no key of a rule; there are {', '.join(_KEYS)}")
        pattern = self.pattern(raw.get("match"))
        fault = raw.get("fault")
        fault = str(fault) if isinstance(fault, int) and not isinstance(fault, bool) else fault
        if fault is not None and fault not in _FAULTS:
            self.wrong(f"`fault` is one of {', '.join(_FAULTS)}")
        times, fail_at = self.count(raw.get("times")), self.indexes(raw.get("fail_at"))
        if fault is None and (times is not None or fail_at is not None or "retry_after" in raw):
            self.wrong("`times`, `fail_at` and `retry_after` say when a `fault` happens, and there is none")
        if times is not None and fail_at is not None:
            self.wrong("give `times` or `fail_at`, not both")
        calls = self.calls(raw.get("calls", []))
        reply = raw.get("reply", "" if calls else _MISSING)
        if calls and not isinstance(reply, str):
            self.wrong("beside `calls` a `reply` is a text")
        if reply is _MISSING and (fault is None or times is not None or fail_at is not None):
            self.wrong("a `reply` is needed" + ("" if fault is None else " for the requests that the fault spares"))
        is_raw = raw.get("raw", False)
        if not isinstance(is_raw, bool) or (is_raw and not isinstance(reply, str)):
            self.wrong("`raw` is true or false, and goes with a `reply` that is a text")
        for written in (reply, *(arguments for _, arguments in calls)):
            self.groups(written, 0 if pattern is None else pattern.groups)
        after = raw.get("retry_after")
        return Rule(
            pattern=pattern,
            reply=reply,
            calls=calls,
            raw=is_raw,
            delay=self.delay(raw.get("delay", 0)),
            fault=fault,
            retry_after=None if after is None else self.seconds(after, "retry_after"),
            times=times,
            fail_at=fail_at,
            usage=self.usage(raw.get("usage")),
            usage_missing="usage" in raw and raw["usage"] is None,
        )

    def pattern(self, match: Any) -> Any:
        import re2  # type: ignore[import-untyped]

        if match is None or match == "":
            return None
        if not isinstance(match, str):
            self.wrong("`match` is a regular expression, a text")
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(match.encode(), options)
        except UnicodeEncodeError:
            self.wrong("`match` holds half a character")
        except re2.error as error:
            said = error.args[0] if error.args else ""
            said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            self.wrong(f"`match` is no regular expression: {printable(said, 200)}")

    def calls(self, value: Any) -> tuple[tuple[str, Any], ...]:
        good = isinstance(value, list) and all(
            isinstance(call, dict) and {"name"} <= set(call) <= {"name", "arguments"} and isinstance(call["name"], str) for call in value
        )
        if not good:
            self.wrong('`calls` is a list such as [{"name": "task", "arguments": {"prompt": "…"}}]')
        return tuple((call["name"], call.get("arguments", {})) for call in value)

    def groups(self, reply: Any, count: int) -> None:
        """That every group named in `reply` exists."""
        if isinstance(reply, str):
            for place, group in _references(reply):
                if group > count:
                    self.wrong(f"`reply` uses {reply[place : place + 2]}, and `match` has {count} groups")
        elif isinstance(reply, list):
            for item in reply:
                self.groups(item, count)
        elif isinstance(reply, dict):
            for item in reply.values():
                self.groups(item, count)

    def delay(self, value: Any) -> tuple[float, float]:
        if isinstance(value, list) and len(value) == 2:
            low, high = self.seconds(value[0], "delay"), self.seconds(value[1], "delay")
            if low > high:
                self.wrong("`delay` is [least, most]")
            return low, high
        seconds = self.seconds(value, "delay")
        return seconds, seconds

    def seconds(self, value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_DELAY:
            self.wrong(f"`{key}` is a number of seconds, 0 to {_LONGEST_DELAY:,.0f}" + (", or two in a list" if key == "delay" else ""))
        return float(value)

    def count(self, value: Any) -> int | None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            self.wrong("`times` is a whole number, how many requests the fault meets")
        return value

    def indexes(self, value: Any) -> frozenset[int] | None:
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in value):
            self.wrong("`fail_at` is a list of whole numbers, the positions of requests in the run from 0")
        return frozenset(value)

    def usage(self, value: Any) -> Mapping[str, int] | None:
        if value is None:
            return None
        good = isinstance(value, dict) and all(
            key in _USAGE_KEYS and isinstance(n, int) and not isinstance(n, bool) for key, n in value.items()
        )
        if not good:
            self.wrong(f"`usage` is null, or an object of whole numbers with {', '.join(_USAGE_KEYS)}")
        return dict(value)

    def wrong(self, what: str) -> NoReturn:
        raise UsageError(f"{self.where}: {printable(what, 400)}.")


def _references(text: str) -> Iterator[tuple[int, int]]:
    """Where `\\0` to `\\9` stand in `text`, and their digits; `\\\\` is a backslash that starts none."""
    at = text.find("\\")
    while at >= 0:
        follows = text[at + 1 : at + 2]
        if follows.isascii() and follows.isdigit():
            yield at, int(follows)
        at = text.find("\\", at + (2 if follows == "\\" else 1))


def _filled(reply: Any, groups: tuple[str, ...]) -> Any:
    """`reply` with the groups of the match put in; what they hold is not looked at again."""
    if isinstance(reply, str):
        if "\\" not in reply:
            return reply
        parts, done = [], 0
        for at, group in _references(reply):
            parts += [reply[done:at].replace("\\\\", "\\"), groups[group]]
            done = at + 2
        return "".join([*parts, reply[done:].replace("\\\\", "\\")])
    if isinstance(reply, list):
        return [_filled(item, groups) for item in reply]
    if isinstance(reply, dict):
        return {key: _filled(item, groups) for key, item in reply.items()}
    return reply


def _reply(rule: Rule, request: Request, groups: tuple[str, ...]) -> str:
    """The reply as a model would write it: JSON where the request has a schema, in the wrapping that the schema asks for."""
    value = _filled(rule.reply, groups)
    if isinstance(value, str) and (rule.raw or request.schema is None):
        return value
    if request.schema is not None and list(request.schema.get("properties", ())) == ["value"]:
        unwrapped = not (isinstance(value, dict) and list(value) == ["value"])
        value = {"value": value} if unwrapped else value
    elif isinstance(value, str):
        return value  # a record's JSON, written out by the rule
    return json.dumps(value, ensure_ascii=False)


def _entry(rule: Rule, request: Request, groups: tuple[str, ...]) -> Any:
    """The reply as an entry of a batch's list."""
    value = None if rule.reply is _MISSING else _filled(rule.reply, groups)
    is_json = rule.raw or request.schema is None or list(request.schema.get("properties", ())) != ["value"]
    if isinstance(value, str) and is_json and request.type != TEXT:
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value["value"] if isinstance(value, dict) and list(value) == ["value"] and not is_json else value


def _fault(rule: Rule, request: Request, prompt: bytes, groups: tuple[str, ...]) -> Completion:
    """What a request meets that the rule's fault is for."""
    most = request.max_tokens * _BYTES_PER_TOKEN
    match rule.fault:
        case "timeout":
            raise ProviderError("the scripted model timed out", retryable=True, charged=True)
        case "drop":
            raise ProviderError("the scripted model dropped the connection", retryable=True, charged=True)
        case "refuse":
            return Completion(None, refusal="I cannot help with that.", usage=_usage(rule, prompt, "I cannot help with that."))
        case "filter":
            return Completion(None, "content_filter", usage=_usage(rule, prompt, ""))
        case "length":
            whole = "and so on " if rule.reply is _MISSING else _reply(rule, request, groups)
            text = _cut(whole[: -(-len(whole) // 2)], most)
            return Completion(text, "length", usage=_usage(rule, prompt, "x" * most))
        case "empty":
            return Completion("", usage=_usage(rule, prompt, ""))
        case "garbage":
            return Completion(_GARBAGE, usage=_usage(rule, prompt, _GARBAGE))
        case "huge":
            text = "huge " * (request.max_tokens * limits.REPLY_BYTES_PER_TOKEN)
            return Completion(text, usage=_usage(rule, prompt, text))
    status = rule.fault or ""
    raise ProviderError(
        f"the scripted model answered {status} ({_STATUS[status]})", retryable=True, retry_after=rule.retry_after, status=int(status)
    )


def _within_limit(rule: Rule, request: Request, prompt: bytes, text: str) -> Completion:
    """`text`, cut where a model would have run into `max_tokens`."""
    cut = _cut(text, request.max_tokens * _BYTES_PER_TOKEN)
    return Completion(cut, "stop" if len(cut) == len(text) else "length", usage=_usage(rule, prompt, cut))


def _calling(rule: Rule, request: Request, prompt: bytes, groups: tuple[str, ...]) -> Completion:
    """A reply that calls tools; whole or, where it is longer than `max_tokens`, not at all."""
    calls = []
    for at, (name, arguments) in enumerate(rule.calls):
        filled = _filled(arguments, groups)
        calls.append(ToolCall(f"scripted{at}", name, filled if isinstance(filled, str) else json.dumps(filled, ensure_ascii=False)))
    text = str(_filled(rule.reply, groups))
    whole = "\n".join([text, *(part for call in calls for part in (call.name, call.arguments))])
    if len(_cut(whole, request.max_tokens * _BYTES_PER_TOKEN)) < len(whole):
        return _within_limit(rule, request, prompt, whole)
    return Completion(text, "tool_calls", usage=_usage(rule, prompt, whole), tool_calls=tuple(calls))


def _cut(text: str, most: int) -> str:
    """`text` cut to `most` bytes of UTF-8."""
    if len(text) * _BYTES_PER_TOKEN <= most:
        return text
    data = text.encode("utf-8", "surrogatepass")
    return text if len(data) <= most else data[:most].decode("utf-8", "ignore")


def _usage(rule: Rule, prompt: bytes, text: str) -> Usage | None:
    if rule.usage_missing:
        return None
    told = rule.usage or {}
    size = len(text.encode("utf-8", "surrogatepass"))
    return Usage(
        told.get("input_tokens", -(-len(prompt) // _BYTES_PER_TOKEN)),
        told.get("output_tokens", -(-size // _BYTES_PER_TOKEN)),
        told.get("cached_tokens", 0),
    )


def _delay(rule: Rule, request: Request) -> float:
    """Seconds, drawn from the request's key so that a run is repeatable."""
    low, high = rule.delay
    return low if low == high else low + (high - low) * int.from_bytes(request.key[:8], "big") / 2**64
