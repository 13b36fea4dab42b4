"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, Ollama, llama.cpp, OpenRouter, …

Through the openai package's client, but by its raw `post`: building and validating its reply objects costs twice what the rest does,
and refuses odd bodies that are easily read. The requests of a provider differ in their body alone, so the client builds and sends the
first; later ones have its address and headers, and go straight to the transport (half of the remaining cost).

Not done here: retries, limits on rates, checks of the reply (see `lm.client`).
"""

from __future__ import annotations

import sys
from typing import Any

import openai

from rlmlang.lm.providers.chat import OPENAI, Body, Chat, encoded
from rlmlang.lm.providers.transport import address_of
from rlmlang.lm.request import Address, Completion, Model, Request, Secret

_NO_KEY = Secret("none")  # a server that asks for no key gets this one: the client wants some
_NOISE = (  # headers that a server has no use for
    *("X-Stainless-Lang", "X-Stainless-Package-Version", "X-Stainless-OS", "X-Stainless-Arch", "X-Stainless-Runtime"),
    *("X-Stainless-Runtime-Version", "X-Stainless-Async"),
)
_OWN = ("OpenAI-Organization", "OpenAI-Project")  # from the environment, and meant for OpenAI alone


class OpenAIProvider:
    """A Provider over HTTP. Raises UsageError where the model's `base_url` is none."""

    def __init__(self, model: Model) -> None:
        self._chat = Chat(model)
        base_url = model.base_url or OPENAI
        unsent = (*_NOISE, *_OWN) if model.base_url else _NOISE
        transport: Any = self._chat.transport
        http: Any = openai.DefaultAsyncHttpxClient(transport=transport, trust_env=False, follow_redirects=False)
        http.headers.clear()
        http.headers["Accept-Encoding"] = "identity"
        self._client = _Client(
            self._chat,
            api_key=(model.api_key or _NO_KEY).reveal(),
            base_url=base_url,
            max_retries=0,
            http_client=http,
            default_headers={name: openai.Omit() for name in unsent},
        )
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._response = _response_type(http)

    @property
    def address(self) -> Address | None:
        """Where its requests go, with their headers; None before there was one."""
        return self._client.address

    async def complete(self, request: Request) -> Completion:
        """One attempt. Raises ProviderError, nothing else."""
        return await self._chat.complete(request, self._post)

    async def _post(self, body: Body) -> bytes:
        address = self._client.address
        if address is not None:
            return await self._chat.post(address, body)
        return (await self._client.post(self._url, cast_to=self._response, body=body)).extensions["body"]  # type: ignore[no-any-return]

    async def close(self) -> None:
        await self._client.close()


class _Client(openai.AsyncOpenAI):
    """The client, with two of its steps overridden: where the request that it builds would go is noted in `address`, and it goes to our
    transport without the HTTP library's own layers (redirects, cookies, authentication), of which none is wanted. Should these steps go,
    this is only slower."""

    def __init__(self, chat: Chat, **settings: Any) -> None:
        super().__init__(**settings)
        self._platform = "Unknown"  # else it is asked for in a thread, for a header that is not sent
        self._direct = chat.transport
        self.address: Address | None = None

    def _build_request(self, options: Any, **more: Any) -> Any:
        body, options.json_data = options.json_data, {}
        request = super()._build_request(options, **more)
        del request.headers["Content-Length"]
        request.extensions["body"] = encoded(body)
        self.address = address_of(request)
        return request

    async def _send_request(self, request: Any, **more: Any) -> Any:
        return await self._direct.handle_async_request(request)


def _response_type(http: Any) -> Any:
    """The response class of the HTTP library that openai uses; asked for as result, it comes without any parsing."""
    library = next(base for base in type(http).__mro__ if base.__name__ == "AsyncClient")
    return sys.modules[library.__module__.partition(".")[0]].Response
