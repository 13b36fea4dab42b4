"""What goes to a server by aiohttp: requests through a proxy, and files. A room of its own, since few runs need it, and no worker.

It fails as `lm.providers.connections` does. Not done here: environment, `.netrc`, cookies, redirects, compression.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import IO, Any

import aiohttp
from multidict import CIMultiDict

from rlmlang import limits
from rlmlang.lm.providers.connections import Broken, Received, Silent, TooLong, Unreachable
from rlmlang.lm.request import Address


class HttpSession:
    """One pool of at most so many connections."""

    def __init__(self, connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # it would read the environment, and .netrc, in threads, for each request
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.CONNECT_SECONDS, sock_read=limits.IDLE_SECONDS),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def post(self, address: Address, body: bytes, proxy: str | None) -> Received:
        """The reply to a POST of `body`. Raises Unreachable, Broken, Silent, TooLong; ValueError where the address is none."""
        return await self._exchange("post", address.url, CIMultiDict(address.headers), proxy, data=body)

    async def transfer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Any,
        proxy: str | None,
        *,
        seconds: float,
        into: IO[bytes] | None = None,
        most: int = 0,
    ) -> Received:
        """As `lm.providers.transport` says; raises TimeoutError after `seconds`, and what `post` raises."""
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=limits.CONNECT_SECONDS)
        return await self._exchange(method, url, CIMultiDict(headers.items()), proxy, into, most, data=data, timeout=timeout)

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(
        self, method: str, url: str, headers: CIMultiDict[str], proxy: str | None, into: IO[bytes] | None = None, most: int = 0, **more: Any
    ) -> Received:
        try:
            async with self._session.request(method, url, headers=headers, proxy=proxy, allow_redirects=False, **more) as response:
                fine = 200 <= response.status < 300
                body = bytearray()
                if fine and into is not None:
                    await _kept(response, into, most)
                else:
                    async for chunk in response.content.iter_any():
                        body += chunk
                        if len(body) > limits.REPLY_BYTES:
                            response.close()
                            if fine:
                                raise TooLong
                            break  # of a page that says what is wrong, the beginning says it
                return Received(response.status, response.raw_headers, bytes(body))
        except aiohttp.ClientConnectorError as error:
            raise Unreachable from _reason(error)
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable from TimeoutError()
        except aiohttp.ServerTimeoutError:
            raise Silent from None
        except TimeoutError:  # of the whole, which is an OSError, too
            raise
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, ValueError):  # aiohttp.InvalidURL
                raise
            raise Broken from None


async def _kept(response: aiohttp.ClientResponse, into: IO[bytes], most: int) -> None:
    async for chunk in response.content.iter_any():
        into.write(chunk)
        if into.tell() > most:
            response.close()
            raise TooLong


def _reason(error: aiohttp.ClientConnectorError) -> Exception:
    """What kept a connection from being made, as the standard library says it."""
    cause = error.__cause__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return cause if isinstance(cause, ssl.SSLError) else error.os_error
