"""What is noted of the jobs of Batch APIs (`lm.jobs`), so that a run that is started again finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import frozen


class Answered(Exception):
    """A request was not sent: another run has got the reply to it meanwhile."""


@frozen
class JobRecord:
    """A job in the journal. `file` and `id` are the server's names for its file and for itself, None until they are known; `created` is
    in unix seconds; `count` the requests that its file was made of."""

    token: str
    created: int
    count: int
    file: str | None = None
    id: str | None = None


class Journal(Protocol):
    """Where jobs are noted, durably: what returns has been written. All methods raise RlmError where that cannot be."""

    def find(self, key: bytes) -> JobRecord | None:
        """The job that has the request with this key."""

    def answered(self, key: bytes) -> bool:
        """Whether the reply to the request with this key is kept."""

    def keys(self, token: str) -> Mapping[bytes, int]:
        """The keys of a job that were not struck, with their lines in its file, from 1."""

    async def begin(self, token: str, keys: Sequence[bytes]) -> JobRecord:
        """Notes a job that is about to be made. A key that another job had belongs to this one from here on."""

    async def note(self, record: JobRecord) -> None:
        """Notes what has become known of a job."""

    async def strike(self, token: str, keys: Iterable[bytes] | None = None) -> None:
        """Forgets these requests of a job, or all of it; a job without requests is forgotten."""

    async def tidy(self) -> None:
        """Forgets the requests whose replies are kept elsewhere."""

    def making(self) -> AbstractAsyncContextManager[None]:
        """Within it no other process makes jobs on this journal, or looks at those that are not finished."""
