"""The OpenAI-compatible provider, against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import traceback
from base64 import b64encode
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from loopback import Answer, Server, limited, loopback, ok, status

from rlmlang import limits
from rlmlang.errors import Failure, UsageError
from rlmlang.lm.client import Client
from rlmlang.lm.providers.openai import OpenAIProvider
from rlmlang.lm.providers.transport import Transport, is_local, proxy_of, retry_after
from rlmlang.lm.render import render, worst_input_tokens
from rlmlang.lm.request import Charge, Completion, GrammarWay, Model, ProviderError, Reply, Request, Secret, Usage
from rlmlang.types import BOOL, TEXT, Enum, Type

CANARY = "sk-canary-0123456789"


class Unmetered:
    async def reserve(self, worst: Charge) -> None:
        pass

    def settle(self, worst: Charge, actual: Charge) -> None:
        pass


def complete(model: Model, type: Type = TEXT) -> Completion:
    async def main() -> Completion:
        provider = OpenAIProvider(model)
        try:
            return await provider.complete(render("Is it?", [(None, "data")], type, model))
        finally:
            await provider.close()

    return asyncio.run(main())


def send(server: Server, type: Type = TEXT, **settings: Any) -> Reply:
    model = server.model(**settings)

    async def main() -> Reply:
        async with Client({"m": model}, Unmetered()) as client:
            return await client.send(render("Is it?", [(None, "data")], type, model), alive=lambda: True)

    return asyncio.run(main())


def error(answer: Answer, **settings: Any) -> ProviderError:
    with loopback(faults=[answer]) as server, pytest.raises(ProviderError) as caught:
        complete(server.model(**settings))
    assert CANARY not in caught.value.message + repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert len(caught.value.message) <= limits.MESSAGE_CHARS and caught.value.message.isprintable()
    return caught.value


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(limits, "RETRY_LONGEST", 0.002)


def test_what_is_sent() -> None:
    with loopback('{"value": true}') as server:
        model = server.model(temperature=0.5)
        assert complete(model, BOOL).text == '{"value": true}'
        [body], [headers] = server.requests, server.headers
    assert body["model"] == "m" and body["max_tokens"] == 32 and body["temperature"] == 0.5
    assert [m["role"] for m in body["messages"]] == ["user"]
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True and schema["schema"]["properties"]["value"] == {"type": "string", "enum": ["yes", "no"]}
    assert headers["authorization"] == f"Bearer {CANARY}" and headers["accept-encoding"] == "identity"


def test_what_is_sent_when_the_model_has_no_structured_output() -> None:
    with loopback("true") as server:
        complete(server.model(structured="prompt", reasoning_tokens=100, api_key=None), BOOL)
        complete(server.model(), TEXT)
    assert "response_format" not in server.requests[0] and "yes" in server.requests[0]["messages"][0]["content"]
    assert server.requests[0]["max_completion_tokens"] == 132 and "temperature" not in server.requests[0]
    assert "response_format" not in server.requests[1] and server.requests[1]["temperature"] == 0


GRAMMAR = 'root ::= "answer 1"'


def constrained(model: Model, grammar: str | None = GRAMMAR) -> Completion:
    async def main() -> Completion:
        provider = OpenAIProvider(model)
        try:
            return await provider.complete(evolve(render("Write.", [], TEXT, model), grammar=grammar))
        finally:
            await provider.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        ("vllm", {"structured_outputs": {"grammar": GRAMMAR}}),
        ("sglang", {"ebnf": GRAMMAR}),
        ("llamacpp", {"grammar": GRAMMAR}),
        (None, {}),
    ],
)
def test_a_grammar_as_each_server_takes_it(way: GrammarWay | None, sent: dict[str, Any]) -> None:
    with loopback("answer 1") as server:
        model = server.model(grammar=way)
        assert constrained(model).text == constrained(model, None).text == "answer 1"
    [with_it, without] = server.requests
    assert with_it == without | sent


def test_a_grammar_as_openai_takes_it() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "program", "input": "answer 1"}}
    answers = [ok(None, finish="tool_calls", tool_calls=[call]), ok(None, finish="stop", tool_calls=[call]), ok("answer 2")]
    with loopback(faults=answers) as server:
        got = [constrained(server.model(grammar="openai")) for _ in answers]
    assert [(c.text, c.finish) for c in got] == [("answer 1", "stop"), ("answer 1", "stop"), ("answer 2", "stop")]
    body = server.requests[0]
    [tool] = body["tools"]
    assert tool["type"] == "custom" and tool["custom"]["name"] == "program" and tool["custom"]["description"]
    assert tool["custom"]["format"] == {"type": "grammar", "grammar": {"syntax": "lark", "definition": GRAMMAR}}
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "program"}} and body["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    "calls", [[{}], ["x"], "x", [{"custom": 1}], [{"custom": {"name": "other", "input": "x"}}], [{"custom": {"name": "program"}}]]
)
def test_a_tool_call_that_is_not_ours(calls: Any) -> None:
    with loopback(faults=[ok(None, finish="tool_calls", tool_calls=calls)]) as server:
        got = constrained(server.model(grammar="openai"))
    assert got.text is None and got.finish == "tool_calls"


def test_a_tool_call_cut_short_is_no_reply() -> None:
    call = {"id": "1", "type": "custom", "custom": {"name": "program", "input": "answer ["}}
    with loopback(faults=[ok(None, finish="length", tool_calls=[call])]) as server:
        assert constrained(server.model(grammar="openai")).finish == "length"


def test_a_grammar_is_part_of_what_is_asked() -> None:
    with loopback() as server:
        plain = render("Write.", [], TEXT, server.model(grammar="openai"))
    other = [evolve(plain, grammar=text) for text in (GRAMMAR, GRAMMAR + " ")]
    assert len({plain.key, *(request.key for request in other)}) == 3
    assert worst_input_tokens(other[0]) - worst_input_tokens(plain) > len(GRAMMAR)


def test_later_requests_have_their_own_bodies() -> None:
    with loopback(lambda body: body["messages"][0]["content"] + "!") as server:
        model = server.model()

        async def main() -> list[str | None]:
            provider = OpenAIProvider(model)
            prompts = [Request(model, render(text, [], TEXT, model).messages) for text in ("a", "béé", "c\ud800", "d" * 1000)]
            got = [(await provider.complete(prompt)).text for prompt in prompts]
            await provider.close()
            return got

        assert asyncio.run(main()) == ["a!", "béé!", "c?!", "d" * 1000 + "!"]


def test_usage_and_cached_tokens_are_read() -> None:
    usage = {"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 40}}
    with loopback(faults=[ok("x", usage=usage), ok("x", usage=None), ok("x", usage={"prompt_tokens": "9"}), ok("x", usage=[])]) as server:
        assert complete(server.model()).usage == Usage(50, 7, 40)
        assert [complete(server.model()).usage for _ in range(3)] == [None] * 3


def test_odd_completions() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    answers = [ok(parts), ok(None), ok(None, tool_calls=[{}]), ok(None, refusal="no"), ok("cut", finish="length"), ok("x", finish=None)]
    with loopback(faults=answers) as server:
        got = [complete(server.model()) for _ in answers]
    assert [c.text for c in got] == ["ab", None, None, None, "cut", "x"]
    assert [c.finish for c in got] == ["stop", "stop", "tool_calls", "stop", "length", None]
    assert got[3].refusal == "no"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422])
def test_errors_of_the_caller_are_final(code: int) -> None:
    found = error(status(code, f"bad key {CANARY}\x1b[31m"))
    assert not found.retryable and found.status == code and str(code) in found.message and "bad key ***" in found.message


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 504, 529])
def test_errors_of_the_moment_are_retryable(code: int) -> None:
    assert error(status(code)).retryable
    with loopback("fine", faults=[status(code)] * 2) as server:
        reply = send(server)
    assert reply.value == "fine" and reply.requests == 3 == len(server.requests)


def test_an_empty_purse_is_not_retried() -> None:
    body = json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}}).encode()
    assert not error(Answer(body, 429)).retryable


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<!doctype html><p>hello", headers={"Content-Type": "text/html"}),
        Answer(b""),
        Answer(b"null"),
        Answer(b"[]"),
        Answer(b"{}"),
        Answer(b'{"choices": []}'),
        Answer(b'{"choices": [{}]}'),
        Answer(b'{"choices": [{"message": "x"}]}'),
        Answer(b'{"error": {"message": "overloaded"}}'),
        Answer(b"[" * 100_000),
        Answer(b'{"usage": ' + b"9" * 5_000 + b"}"),
        Answer(b"\xff\xfe\x00"),
        Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        Answer(b"x" * 65_536, repeat=limits.REPLY_BYTES // 65_536 + 1),
    ],
)
def test_garbage_with_200_is_an_error_that_may_have_cost(answer: Answer) -> None:
    found = error(answer)
    assert not found.retryable and found.charged


def test_broken_connections_are_retryable() -> None:
    whole = ok("x").body
    for answer in (Answer(whole, cut=30), Answer(whole, cut=0), Answer(reset=True), Answer(headers={"Content-Length": "x"})):
        found = error(answer)
        assert found.retryable and found.charged
    with loopback() as server:
        gone = server.model()
    with pytest.raises(ProviderError, match="refused") as caught:
        complete(gone)
    assert caught.value.retryable and not caught.value.charged


def test_an_attempt_ends_however_slowly_the_reply_comes() -> None:
    for answer in (ok("x", delay=5.0), Answer(ok("x").body, drip=0.02)):
        found = error(answer, timeout=0.2)
        assert found.retryable and found.charged and "longer than 0.2 s" in found.message


def test_no_redirect_is_followed_and_no_cookie_kept() -> None:
    with loopback() as elsewhere:
        redirect = Answer(status=307, headers={"Location": f"{elsewhere.url}/chat/completions"})
        found = error(redirect)
        assert not found.retryable and "redirect" in found.message and not elsewhere.requests
    cookie = Answer(ok("x").body, headers={"Set-Cookie": "a=b"})
    with loopback(faults=[cookie, Answer(b"", 500, {"Set-Cookie": "a=b"})]) as server:
        send(server)
        model = server.model()

        async def twice() -> None:
            async with Client({"m": model}, Unmetered()) as client:
                for i in range(2):
                    await client.send(render(str(i), [], TEXT, model), alive=lambda: True)

        asyncio.run(twice())
    assert len(server.headers) == 4 and not any("cookie" in headers for headers in server.headers)


def test_the_environment_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-environment")
    with loopback() as server:
        complete(server.model(api_key=None))
    assert not any("environment" in value for value in server.headers[0].values())
    assert set(server.headers[0]) >= {"authorization", "content-type"} and "x-stainless-os" not in server.headers[0]


def test_a_proxy_is_used_where_the_environment_names_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine models.example login me password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert proxy_of("http://models.example/v1") is None
    with loopback() as server:
        proxy = server.url.removesuffix("/v1").removeprefix("http://")
        monkeypatch.setenv("http_proxy", f"me:word@{proxy}")
        assert complete(server.model(base_url="http://models.example/v1")).text == "ok"
        headers = server.headers[0]
        assert headers["host"] == "models.example" and headers["authorization"] == f"Bearer {CANARY}"
        assert headers["proxy-authorization"] == "Basic " + b64encode(b"me:word").decode()
    assert proxy_of("https://models.example/v1") is None and proxy_of("http://127.0.0.1:8000/v1") is None
    monkeypatch.setenv("no_proxy", "models.example")
    assert proxy_of("http://models.example/v1") is None


def test_a_file_that_cannot_be_written_is_an_error_of_ours() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def main(url: str) -> None:
        transport = Transport("127.0.0.1", Secret(CANARY), 1)
        try:
            await transport.transfer("post", f"{url}/chat/completions", {}, b"{}", seconds=5, into=Full(), most=1_000_000)
        finally:
            await transport.aclose()

    with loopback() as server, pytest.raises(ProviderError):
        asyncio.run(main(server.url))


def test_retry_after_in_all_its_forms() -> None:
    now = 1_700_000_000.0

    def date(ahead: float) -> str:
        return formatdate(now + ahead, usegmt=True)

    cases: list[tuple[dict[str, str], float | None]] = [
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1000000000"}, 1e9),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": date(30)}, 30.0),
        ({"Retry-After": date(-30)}, None),
        ({"Retry-After": date(5_030), "Date": date(5_000)}, 30.0),
        ({"Retry-After": "Wed, 99 Foo 2026 00:00:00 GMT"}, None),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "x", "Retry-After": "9"}, 9.0),
        ({}, None),
    ]
    for headers, seconds in cases:
        assert retry_after(headers, now) == seconds, headers


def test_retry_after_is_waited_for() -> None:
    with loopback("fine", faults=[limited("0.2"), status(500, Retry_After="0.1"), limited("garbage"), limited("-1")]) as server:
        assert send(server).requests == 5
        gaps = [later - earlier for earlier, later in pairwise(server.times)]
        assert gaps[0] >= 0.2 and gaps[1] >= 0.1 and len(gaps) == 4  # never sooner than told


def test_a_wrong_word_is_asked_again() -> None:
    with loopback('{"value": "core"}', faults=[ok("It is central, I think."), ok(None)]) as server:
        reply = send(server, Enum(("core", "test")))
    assert reply.value == "core" and reply.requests == 3
    assert server.requests[1]["messages"][-2] == {"role": "assistant", "content": "It is central, I think."}


def test_concurrency_is_kept() -> None:
    with loopback(delay=0.01) as server:
        model = server.model(concurrency=5)

        async def main() -> None:
            async with Client({"m": model}, Unmetered()) as client:
                await asyncio.gather(*(client.send(render(str(i), [], TEXT, model), alive=lambda: True) for i in range(30)))

        asyncio.run(main())
    assert server.peak == 5 and len(server.requests) == 30


def test_no_failure_shows_the_key() -> None:
    for answers in ([status(401, f"Incorrect API key provided: {CANARY}")], [status(500, CANARY)] * 10, [ok(CANARY, finish="length")]):
        with loopback(faults=answers) as server, pytest.raises(Failure) as caught:
            send(server)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(server.model())
        assert CANARY not in shown and "model m" in caught.value.message


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://x:99999999/v1", "http://[x/v1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    if url:
        with pytest.raises(UsageError):
            OpenAIProvider(Model("m", "openai", "m", base_url=url))


def test_local_addresses() -> None:
    assert all(map(is_local, ("localhost", "127.0.0.1", "::1", "a.localhost"))) and not any(map(is_local, ("example.org", "10.0.0.1")))


def test_secrets_stay_secret() -> None:
    assert CANARY not in repr(Secret(CANARY)) + str(Secret(CANARY)) + f"{Secret(CANARY)}"
