"""A real HTTP server on this machine that speaks chat completions, and the Files and Batches endpoints of a Batch API.

    with batches("yes", jobs=[Plan(end="expired", answer=lambda line: [])]) as server:
        …
        assert server.paid == Counter(…)

The n-th job goes by the n-th Plan, those after the last by the plain one. `at` holds what is answered instead, in order, for requests to an
address (`"POST /files"`); `on` what is called when one has been carried out, before it is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import define, frozen
from loopback import Answer, Server, serving, status

Line = dict[str, Any]


@frozen
class Plan:
    """What becomes of a job: `polls` times it is asked about before it ends as `end`. `lines` makes of each line of its file lines of the
    output (None: as the model answers); `errors` likewise of the file of errors; `faults` are what validation says."""

    polls: int = 0
    end: str = "completed"
    lines: Callable[[Line, bytes], Sequence[bytes]] | None = None
    errors: Callable[[Line], Sequence[bytes]] | None = None
    faults: Sequence[dict[str, Any]] = ()
    backwards: bool = False


@define
class Made:
    """A job as the server has it."""

    id: str
    file: str
    metadata: dict[str, str]
    plan: Plan
    asked: int = 0
    output: str | None = None
    error: str | None = None
    answered: int = 0


def json_answer(found: Any, code: int = 200) -> Answer:
    return Answer(json.dumps(found).encode(), code, {"Content-Type": "application/json"})


class BatchServer(Server):
    """`paid` counts the requests (by the text of their last message) that were answered by jobs; `log` has each exchange."""

    def __init__(self, reply: str | Callable[[dict[str, Any]], str | Answer], plans: Sequence[Plan]) -> None:
        super().__init__(reply, (), 0.0)
        self.plans = list(plans)
        self.files: dict[str, tuple[str, bytes]] = {}
        self.jobs: dict[str, Made] = {}
        self.paid: Counter[str] = Counter()
        self.log: list[str] = []
        self.at: dict[str, list[Answer]] = {}
        self.on: dict[str, Callable[[], None]] = {}
        self.held: set[str] = set()  # jobs that do not end
        self.hold = False  # nor any other
        self.page = 2  # entries of one page of a list

    @property
    def sizes(self) -> list[int]:
        """How many requests each job had."""
        return [len(self.lines(job)) for job in self.jobs.values()]

    def lines(self, job: Made) -> list[Line]:
        return [json.loads(line) for line in self.files[job.file][1].splitlines()]

    async def _elsewhere(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        parts = urlsplit(path)
        address = parts.path.removeprefix("/v1")
        name = f"{method} /{address.split('/')[1]}" + ("/content" if address.endswith("/content") else "")
        self.log.append(name)
        if headers.get("authorization") != "Bearer sk-canary-0123456789":
            return status(401, "no key")
        instead = self.at.get(name)
        if instead:
            given = instead.pop(0)
            if given.status != 299:  # which is carried out all the same
                return given
            self._carry_out(name, address, parts.query, headers, content)
            return Answer(reset=True)
        answer = self._carry_out(name, address, parts.query, headers, content)
        if name in self.on:
            await asyncio.to_thread(self.on[name])
        return answer

    def _carry_out(self, name: str, address: str, query: str, headers: dict[str, str], content: bytes) -> Answer:
        match name:
            case "POST /files":
                return self._upload(headers, content)
            case "POST /batches":
                return self._create(json.loads(content))
            case "GET /files/content":
                file = self.files.get(address.split("/")[2])
                return status(404, "no such file") if file is None else Answer(file[1])
            case "GET /files":
                entries = [{"id": id, "object": "file", "filename": file[0]} for id, file in self.files.items()]
                return self._listed(entries, query)
            case "GET /batches" if address == "/batches":
                return self._listed([self._described(job) for job in self.jobs.values()], query)
            case "GET /batches":
                job = self.jobs.get(address.split("/")[2])
                return status(404, "no such batch") if job is None else self._state(job)
        return status(405, name)

    def _upload(self, headers: dict[str, str], content: bytes) -> Answer:
        fence = headers["content-type"].partition("boundary=")[2].encode()
        fields: dict[str, tuple[str, bytes]] = {}
        for part in content.split(b"--" + fence)[1:-1]:
            head, _, body = part.partition(b"\r\n\r\n")
            said = dict(p.strip().split("=", 1) for p in head.decode().split("\r\n")[1].split(";")[1:])
            fields[said["name"].strip('"')] = said.get("filename", "").strip('"'), body.removesuffix(b"\r\n")
        assert fields["purpose"][1] == b"batch"
        name, body = fields["file"]
        for line in body.splitlines():
            assert json.loads(line).keys() == {"custom_id", "method", "url", "body"}
        return json_answer({"id": self.file(name, body), "object": "file", "purpose": "batch"})

    def file(self, name: str, content: bytes) -> str:
        id = f"file-{len(self.files)}"
        self.files[id] = name, content
        return id

    def _create(self, body: dict[str, Any]) -> Answer:
        assert body["endpoint"] == "/v1/chat/completions" and body["completion_window"] == "24h"
        if body["input_file_id"] not in self.files:
            return status(400, "no such file")
        at = len(self.jobs)
        job = Made(f"batch_{at}", body["input_file_id"], body["metadata"], self.plans[at] if at < len(self.plans) else Plan())
        assert len({line["body"]["model"] for line in self.lines(job)}) == 1
        self.jobs[job.id] = job
        return self._state(job)

    def _listed(self, entries: list[dict[str, Any]], query: str) -> Answer:
        after = parse_qs(query).get("after", [""])[0]
        ids = [entry["id"] for entry in entries]
        rest = entries[ids.index(after) + 1 if after else 0 :]
        return json_answer({"object": "list", "data": rest[: self.page], "has_more": len(rest) > self.page})

    def _state(self, job: Made) -> Answer:
        if job.asked > job.plan.polls and job.output is None and not self.hold and job.id not in self.held:
            self._end(job)
        job.asked += 1
        return json_answer(self._described(job))

    def _described(self, job: Made) -> dict[str, Any]:
        ended = job.output is not None
        return {
            "id": job.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": job.file,
            "metadata": job.metadata,
            "status": job.plan.end if ended else "validating" if job.asked < 2 else "in_progress",
            "output_file_id": job.output or None,
            "error_file_id": job.error,
            "errors": {"object": "list", "data": list(job.plan.faults)} if ended and job.plan.faults else None,
            "request_counts": {"total": len(self.lines(job)), "completed": job.answered, "failed": 0},
        }

    def _end(self, job: Made) -> None:
        plan, outputs, errors = job.plan, list[bytes](), list[bytes]()
        job.output = ""
        if plan.end == "failed":
            return
        for line in self.lines(job):
            reply = self._choose(10**9, line["body"])
            response = {"status_code": reply.status, "request_id": "r", "body": json.loads(reply.body)}
            usual = json.dumps({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}).encode()
            made = [usual] if plan.lines is None else list(plan.lines(line, usual))
            job.answered += usual in made
            self.paid[line["body"]["messages"][0]["content"]] += usual in made
            outputs += made
            errors += [] if plan.errors is None else plan.errors(line)
        if plan.backwards:
            outputs.reverse()
        if outputs:
            job.output = self.file("output", b"\n".join(outputs))
        if errors:
            job.error = self.file("errors", b"\n".join(errors) + b"\n")


@contextmanager
def batches(
    reply: str | Callable[[dict[str, Any]], str | Answer] = "yes", *, jobs: Sequence[Plan] = (), **settings: Any
) -> Iterator[BatchServer]:
    """The server, until the block ends."""
    server = BatchServer(reply, jobs)
    for name, value in settings.items():
        setattr(server, name, value)
    with serving(server):
        yield server


def error_line(line: Line, code: int, message: str = "scripted") -> bytes:
    """A line of the file of errors, with a status."""
    response = {"status_code": code, "request_id": "r", "body": {"error": {"message": message, "code": None}}}
    return json.dumps({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}).encode()


def lost_line(line: Line, code: str) -> bytes:
    """A line for a request that was never answered."""
    error = {"code": code, "message": "This request could not be executed."}
    return json.dumps({"id": "x", "custom_id": line["custom_id"], "response": None, "error": error}).encode()
