"""A server's Batch API, as OpenAI's: files of requests go up, a job answers them within a day, files of replies come down.

    POST /files                  the requests as JSON lines, each with its `custom_id`
    POST /batches                a job for such a file; our token goes along as metadata, so that the job can be found again
    GET  /batches/ID             how far it is
    GET  /files/ID/content       replies, or errors, as JSON lines in any order

Here is what one exchange is; which requests make a job, and what becomes of those without a reply, is said in `lm.jobs`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any, Final
from urllib.parse import quote

from attrs import frozen

from rlmlang import limits
from rlmlang.lm.providers.openai import OpenAIProvider
from rlmlang.lm.providers.transport import read_error
from rlmlang.lm.request import Completion, Model, ProviderError, Request

_TOKEN: Final = "rlmlang_job"  # the key of a job's metadata
_ENDPOINT: Final = "/v1/chat/completions"
_PAGE: Final = 100  # jobs or files of one page of a list, the most that OpenAI gives
_PAGES: Final = 50  # that are looked through for a job that may be there
_PIECE: Final = 256 * 1024  # bytes of a file sent at a time
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_PASSING: Final = frozenset({"batch_expired", "batch_cancelled", "request_timeout"})  # codes of requests that were never answered


@frozen
class Fault:
    """What is wrong with a job that failed. `line` is that of its file, from 1; None where it is about all of it."""

    message: str
    code: str = ""
    line: int | None = None


@frozen
class JobState:
    """A job as the server describes it. `done` and `failed` count its requests; `outputs` are the files of what came of them."""

    id: str
    status: str
    done: int = 0
    failed: int = 0
    outputs: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


class BatchApi(OpenAIProvider):
    """The Batch API of a model's server. All methods raise ProviderError, and nothing else."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.host = self._chat.host
        self._root = self._url.removesuffix("/chat/completions")

    def line(self, name: str, request: Request) -> bytes:
        """One line of a file of requests, which the reply will call `name`."""
        line = {"custom_id": name, "method": "POST", "url": _ENDPOINT, "body": self._chat.body(request)}
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    async def upload(self, lines: IO[bytes], token: str) -> str:
        """The id of the file that now holds `lines`, from its beginning on."""
        fence = f"rlmlang-{token}"
        head = (
            f'--{fence}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{fence}\r\nContent-Disposition: form-data; name="file"; filename="{_file_name(token)}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        ).encode()
        tail = f"\r\n--{fence}--\r\n".encode()
        size = lines.seek(0, 2)
        headers = {"Content-Type": f"multipart/form-data; boundary={fence}", "Content-Length": str(len(head) + size + len(tail))}
        pieces = _pieces(head, lines, tail)
        return self._id(await self._exchange("post", "/files", pieces, headers, seconds=limits.JOB_TRANSFER_SECONDS))

    async def create(self, file: str, token: str) -> JobState:
        """The job for a file. Where it is not said whether there is one now, `find_job` tells."""
        body = {"input_file_id": file, "endpoint": _ENDPOINT, "completion_window": "24h", "metadata": {_TOKEN: token}}
        return _state(await self._exchange("post", "/batches", json.dumps(body).encode(), {"Content-Type": "application/json"}))

    async def state(self, job: str) -> JobState:
        return _state(await self._exchange("get", f"/batches/{quote(job, safe='')}"))

    async def find_job(self, file: str, token: str) -> JobState | None:
        """The job that was made for a file, None if there is none."""
        async for entry in self._listed("/batches"):
            metadata = entry.get("metadata")
            if entry.get("input_file_id") == file or (isinstance(metadata, dict) and metadata.get(_TOKEN) == token):
                return _state(entry)
        return None

    async def find_file(self, token: str) -> str | None:
        """The file that was sent with this token, None if there is none."""
        async for entry in self._listed("/files?purpose=batch"):
            if entry.get("filename") == _file_name(token):
                return self._id(entry)
        return None

    async def fetch(self, file: str, into: IO[bytes]) -> None:
        """Writes a file of replies."""
        headers = self._headers({})
        path = f"{self._root}/files/{quote(file, safe='')}/content"
        most = into.tell() + limits.JOB_OUTPUT_BYTES
        await self._chat.transport.transfer("get", path, headers, seconds=limits.JOB_TRANSFER_SECONDS, into=into, most=most)

    def reply(self, line: bytes) -> tuple[str, Completion | ProviderError] | None:
        """Which request a line of a file of replies is about, and what came of it; None for a line that says nothing of any."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        name = found.get("custom_id") if isinstance(found, dict) else None
        if not isinstance(name, str):
            return None
        response, error = found.get("response"), found.get("error")
        try:
            if isinstance(response, dict):
                return name, self._answered(response.get("status_code"), response.get("body"))
            if not isinstance(error, dict):
                raise ProviderError(f"{self.host} answered without a completion", charged=True)
            said, code = read_error(error)
            passing = code is None or code in _PASSING
            raise ProviderError(self._chat.transport.redacted(said or f"{self.host} did not answer ({code})"), retryable=passing)
        except ProviderError as failed:
            return name, failed

    def _answered(self, status: Any, body: Any) -> Completion:
        if not isinstance(status, int) or isinstance(status, bool) or 200 <= status < 300:
            return self._chat.read_body(body)
        raise self._chat.transport.refused(status, json.dumps(body).encode())

    # ---- exchanges ----

    async def _exchange(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The JSON object that the server answers with."""
        most = limits.IDLE_SECONDS if seconds is None else seconds
        content = await self._chat.transport.transfer(method, self._root + path, self._headers(headers or {}), data, seconds=most)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProviderError(f"{self.host} answered with no JSON object, as a Batch API would", charged=method == "post")
        return found

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        """The headers that the openai package sends, with `more` and without those of a body."""
        made = {**self._client.auth_headers, **self._client.default_headers}.items()
        return {
            **{name: value for name, value in made if isinstance(value, str) and name.lower() != "content-type"},
            "Accept-Encoding": "identity",
            **more,
        }

    async def _listed(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The entries of a list, the newest first, as far as it is looked through."""
        after = ""
        for _ in range(_PAGES):
            joint = "&" if "?" in path else "?"
            page = await self._exchange("get", f"{path}{joint}limit={_PAGE}{after}")
            data = page.get("data")
            entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
            for entry in entries:
                yield entry
            if page.get("has_more") is not True or not entries or not _is_id(entries[-1].get("id")):
                return
            after = f"&after={quote(entries[-1]['id'], safe='')}"

    def _id(self, found: Mapping[str, Any]) -> str:
        if not _is_id(found.get("id")):
            raise ProviderError(f"{self.host} answered without an id, as a Batch API would not")
        return str(found["id"])


def _file_name(token: str) -> str:
    return f"rlmlang-{token}.jsonl"


async def _pieces(head: bytes, file: IO[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
    yield tail


def _state(found: Mapping[str, Any]) -> JobState:
    """A job out of an object that may hold anything. Raises ProviderError where it is none."""
    job, status = found.get("id"), found.get("status")
    if not _is_id(job) or not isinstance(job, str) or not isinstance(status, str):
        raise ProviderError("the server answered without a job, as a Batch API would not", charged=True)
    counts = found.get("request_counts")
    done, failed = (_count(counts, name) for name in ("completed", "failed"))
    outputs = tuple(found[name] for name in ("output_file_id", "error_file_id") if _is_id(found.get(name)))
    errors = found.get("errors")
    listed = errors.get("data") if isinstance(errors, dict) else errors
    faults = tuple(_fault(each) for each in listed if isinstance(each, dict)) if isinstance(listed, list) else ()
    return JobState(job, status.lower()[:40], done, failed, tuple(dict.fromkeys(outputs)), faults)


def _is_id(id: Any) -> bool:
    """Whether it can be the name of a file or job, which is shown and put into addresses."""
    return isinstance(id, str) and 0 < len(id) <= limits.NAME_CHARS and id.isascii() and id.isprintable()


def _count(counts: Any, name: str) -> int:
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= limits.JOB_LINES else 0


def _fault(error: Mapping[str, Any]) -> Fault:
    message, code = read_error(dict(error))
    line = error.get("line")
    place = line if isinstance(line, int) and not isinstance(line, bool) else None
    return Fault(message or code or "no reason was given", code or "", place)
