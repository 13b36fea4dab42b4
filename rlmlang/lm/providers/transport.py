"""HTTP for the openai package: the bytes of one reply, within limits, or a ProviderError.

Given to the package's client as its transport. Requests go over connections of our own (`lm.providers.connections`), through a proxy and as
files by aiohttp (`lm.providers.http_session`). Beyond the usual one it keeps a reply to REPLY_BYTES (and closes the connection
past that), gives up after IDLE_SECONDS without a byte, keeps no cookies, follows no redirect, asks for no compression (a small reply
could unpack to gigabytes), and judges status codes itself: error pages are not handed on. Environment proxies are honoured, but never
for an address on this machine; `.netrc` is left alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rlmlang import limits
from rlmlang.lm.providers.connections import Broken, Connections, Received, Silent, TooLong, Unreachable
from rlmlang.lm.request import Address, ProviderError, Secret

if TYPE_CHECKING:
    from rlmlang.lm.providers.http_session import HttpSession

_RETRYABLE = frozenset({408, 409, 429})  # and all of 5xx
_MAYBE_DONE = frozenset({408, 504})  # the server behind may have finished the work, and billed it
_SHOWN_BYTES = 4_096  # of an error page, looked at
_MEANINGS = {400: "bad request", 401: "wrong or missing API key", 403: "not allowed", 404: "not found", 413: "request too large"}


def address_of(request: Any) -> Address:
    """The address of an httpx request."""
    return Address(str(request.url), tuple(request.headers.items()))


class Transport:
    """The connections to one host. `key` is kept out of every message, whatever a server quotes."""

    def __init__(self, host: str, key: Secret, connections: int) -> None:
        self._host = host
        self._key = key
        self._most = connections
        self._session: HttpSession | None = None
        self._address: Address | None = None  # of the last request; how to get there follows
        self._proxy: str | None = None
        self._direct: Connections | None = None

    async def handle_async_request(self, request: Any) -> Any:
        """The reply to an httpx request, read whole: its extension `body` has the bytes. So may the request's, instead of its content.
        Raises ProviderError as `send`."""
        given = request.extensions.get("body")
        body = await self.send(address_of(request), request.content if given is None else given)
        library = sys.modules[type(request).__module__.partition(".")[0]]  # httpx, or its successor: openai chooses
        return library.Response(200, stream=library.ByteStream(b""), request=request, extensions={"body": body})

    async def send(self, address: Address, body: bytes) -> bytes:
        """The body of the reply to a POST of `body`.

        Raises ProviderError for everything but a status of 200 to 299.
        """
        try:
            if address is not self._address:
                self._aim(address)
            direct = self._direct
            if direct is not None:
                received = await direct.post(body)
            else:
                received = await self._opened().post(address, body, self._proxy)
        except (Broken, Silent, TooLong, Unreachable, ValueError) as error:
            raise self._failed(error, limits.REPLY_BYTES) from None
        return self._judged(received)

    async def transfer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Any = None,
        *,
        seconds: float,
        into: IO[bytes] | None = None,
        most: int = 0,
    ) -> bytes:
        """Sends `data` (bytes, or what gives them piece by piece), for so many seconds at most, and gives the body of the reply; with
        `into` it is written there, up to `most` bytes. Raises ProviderError for everything but a status of 200 to 299."""
        session = self._opened()
        try:
            received = await session.transfer(method, url, headers, data, proxy_of(url), seconds=seconds, into=into, most=most)
        except TimeoutError:
            raise self._error(f"{self._host} took longer than {seconds:g} s", retryable=True, charged=True) from None
        except (Broken, Silent, TooLong, Unreachable, ValueError) as error:
            raise self._failed(error, limits.REPLY_BYTES if into is None else most) from None
        return self._judged(received)

    async def aclose(self) -> None:
        if self._direct is not None:
            self._direct.close()
            await asyncio.sleep(0)  # in which they end
        if self._session is not None:
            await self._session.close()

    def _aim(self, address: Address) -> None:
        """Later requests go to `address`. Raises ValueError."""
        if address != self._address:
            if self._direct is not None:
                self._direct.close()
            self._proxy = proxy_of(address.url)
            self._direct = Connections(address) if self._proxy is None else None
        self._address = address

    def _opened(self) -> HttpSession:
        if self._session is None:
            from rlmlang.lm.providers.http_session import HttpSession

            self._session = HttpSession(self._most)
        return self._session

    def _judged(self, received: Received) -> bytes:
        """The body. Raises ProviderError where it is no reply."""
        if not 200 <= received.status < 300:
            raise self.refused(received.status, received.body[:_SHOWN_BYTES], _read_headers(received))
        for name, value in received.headers:
            if name.lower() == b"content-encoding" and value.lower() != b"identity":
                raise self._error(f"{self._host} sent a compressed reply, which was not asked for", charged=True)
        return received.body

    def _failed(self, error: Exception, most: int) -> ProviderError:
        """The error of a connection that could not be made, or broke; `most` bytes of a reply are read."""
        if isinstance(error, Unreachable):
            cause = error.__cause__
            # a certificate that does not check out today will not do so in a second
            retryable = not isinstance(cause, ssl.SSLCertVerificationError)
            return self._error(f"cannot connect to {self._host} ({_reason(cause)})", retryable=retryable)
        if isinstance(error, Silent):
            return self._error(f"{self._host} sent nothing for too long", retryable=True, charged=True)
        if isinstance(error, TooLong):
            return self._error(f"{self._host} sent more than {most:,} bytes", charged=True)
        if isinstance(error, Broken):
            return self._error(f"the connection to {self._host} broke", retryable=True, charged=True)
        return self._error("the address is not valid, or a header that goes with it")

    def refused(self, status: int, page: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> ProviderError:
        """The error of a status that is not 2xx."""
        said, code = _said(page)
        if 300 <= status < 400:
            return self._error(f"{self._host} answered with a redirect ({status}), which is not followed", status=status)
        retryable = status in _RETRYABLE or status >= 500
        if status == 429 and code == "insufficient_quota":
            retryable = False  # waiting fills no purse
        meaning = f"{status} {_MEANINGS[status]}" if status in _MEANINGS else f"{status}"
        return self._error(
            f"{self._host} answered {meaning}{said and f': {said}'}",
            retryable=retryable,
            retry_after=retry_after(headers, time.time()),
            status=status,
            charged=status in _MAYBE_DONE,
        )

    def _error(self, message: str, **facts: Any) -> ProviderError:
        return ProviderError(self.redacted(message), **facts)

    def redacted(self, message: str) -> str:
        """`message` without the key, within MESSAGE_CHARS."""
        key = self._key.reveal()
        return (message.replace(key, "***") if key else message)[: limits.MESSAGE_CHARS]


def _read_headers(received: Received) -> dict[str, str]:
    """Of a reply, those that may say when to come again, by their usual names."""
    raw = {name.lower(): value.decode("latin-1") for name, value in received.headers}
    return {name: raw[name.lower().encode()] for name in ("retry-after-ms", "Retry-After", "Date") if name.lower().encode() in raw}


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait as `retry-after-ms` or `Retry-After` say (a number or an HTTP date), None where they say nothing sensible.

    A date is read against the server's own `Date`, else against `now` (Unix seconds): its clock may be wrong.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("Retry-After", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            until = _date(value)
            if until is None:
                continue
            seconds = until - (_date(headers.get("Date", "")) or now)
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def is_local(host: str) -> bool:
    """Whether a host is this machine: nothing on the way to it needs a proxy."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address, if it does."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = None if is_local(host) or proxy_bypass(host) else getproxies().get(parts.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _said(page: bytes) -> tuple[str, str | None]:
    """What an error page says in one line, and its code."""
    text = page.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ("an HTML page" if text.startswith("<") else _line(text)), None
    return read_error(found)


def read_error(found: Any) -> tuple[str, str | None]:
    """Message and code of an error object as servers write it: `{"error": {"message", "code"}}`, `{"error": "…"}`, `{"detail": "…"}`."""
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return (_line(error) if isinstance(error, str) else ""), None
    message = next((error[name] for name in ("message", "detail") if isinstance(error.get(name), str)), "")
    code = error.get("code")
    return _line(message), code if isinstance(code, str) else None


def _line(text: str) -> str:
    """A server's words, short, in one line, with what does not print left out."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:1_000]).split())
    return line if len(line) <= 300 else line[:300] + "…"


def _reason(error: BaseException | None) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer"
    return type(error).__name__
