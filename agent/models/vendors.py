"""The vendors' own SDKs, each behind `ask`: JSON in, JSON out, every error as an `EpisodeFailure` without the key.

The SDKs are extras of this project and are imported only when one is opened. They retry temporary errors
(429, 5xx, lost connections) themselves, within the deadline of one completion.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from agent.failures import EpisodeFailure, failed
from agent.models.computer import Json, Vendor
from agent.models.faults import RETRIES, answered_within, refused
from agent.storable import load_json
from telemetry.model_calls import model_call


class ModelUnavailable(ValueError):
    """A model that can't be opened: its SDK or its key is missing. The message has the remedy."""


def open_openai(key: str, base_url: str | None, deadline_s: float) -> Vendor:
    """OpenAI's Responses API. Raises `ModelUnavailable` without the SDK."""
    try:
        import openai
    except ImportError:
        raise _no_sdk("openai", "openai") from None
    client = openai.AsyncOpenAI(api_key=key, base_url=base_url, timeout=deadline_s, max_retries=RETRIES)

    async def ask(body: Json) -> Json:
        return _object((await client.responses.with_raw_response.create(**body)).http_response.content)

    return _Guarded(ask, client.close, key, deadline_s, "openai")


def open_anthropic(key: str, base_url: str | None, deadline_s: float) -> Vendor:
    """Anthropic's Messages API, its beta for a request with betas. Raises `ModelUnavailable` without the SDK."""
    try:
        import anthropic
    except ImportError:
        raise _no_sdk("anthropic", "anthropic") from None
    client = anthropic.AsyncAnthropic(api_key=key, base_url=base_url, timeout=deadline_s, max_retries=RETRIES)

    async def ask(body: Json) -> Json:
        messages: Any = client.beta.messages if "betas" in body else client.messages
        return _object((await messages.with_raw_response.create(**body)).http_response.content)

    return _Guarded(ask, client.close, key, deadline_s, "anthropic")


def open_gemini(key: str, base_url: str | None, deadline_s: float) -> Vendor:
    """Google's generate_content. Raises `ModelUnavailable` without the SDK."""
    try:
        from google import genai
        from google.genai import types
    except ImportError:
        raise _no_sdk("google-genai", "gemini") from None
    http = httpx.AsyncClient(timeout=deadline_s)  # else the SDK takes aiohttp where installed, with a warning
    options = types.HttpOptions(
        httpx_async_client=http,
        base_url=base_url,
        timeout=int(deadline_s * 1_000),
        retry_options=types.HttpRetryOptions(attempts=RETRIES + 1, initial_delay=0.5),
    )
    client = genai.Client(api_key=key, http_options=options)

    async def ask(body: Json) -> Json:
        contents = [types.Content.model_validate(content) for content in body["contents"]]
        config = types.GenerateContentConfig.model_validate(body["config"])
        reply = await client.aio.models.generate_content(model=body["model"], contents=contents, config=config)
        if reply.candidates is None and reply.prompt_feedback is None:  # the SDK parses anything as an empty answer
            raise ValueError("the answer has neither candidates nor a reason why there are none")
        return _object(reply.model_dump_json(exclude_none=True, exclude={"sdk_http_response", "parsed"}).encode())

    return _Guarded(ask, http.aclose, key, deadline_s, "gcp.gemini")


class _Guarded:
    """A vendor whose errors become failures of an episode."""

    def __init__(
        self,
        ask: Callable[[Json], Awaitable[Json]],
        close: Callable[[], Awaitable[None]],
        key: str,
        deadline_s: float,
        provider: str,
    ) -> None:
        self._ask, self._close, self._key, self._deadline_s = ask, close, key, deadline_s
        self._provider = provider

    async def ask(self, body: Json) -> Json:
        """The vendor's answer. Raises `EpisodeFailure`."""
        with model_call(self._provider, model=str(body.get("model"))):
            return await self._answer(body)

    async def _answer(self, body: Json) -> Json:
        async with answered_within(self._deadline_s, "the vendor"):
            try:
                return await self._ask(body)
            except Exception as error:
                # None of the three SDKs documents its errors for a malformed answer.
                raise self._failure(error) from None  # its exception holds the request, and with it the key

    async def close(self) -> None:
        """Closes the connections."""
        await self._close()

    def _failure(self, error: Exception) -> EpisodeFailure:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)  # OpenAI and Anthropic; Google
        reason = f"the vendor answered {status}: {error}" if status else f"no answer that can be read: {error!r}"
        message = reason.replace(self._key, "***") if self._key else reason
        if isinstance(status, int):
            return refused(status, message)
        return failed("infra", "MODEL_ERROR", message, retryable=True)


def _object(content: bytes) -> Json:
    answer = load_json(content)
    if not isinstance(answer, dict):
        raise ValueError(f"expected an object, found {type(answer).__name__}")
    return answer


def _no_sdk(package: str, extra: str) -> ModelUnavailable:
    return ModelUnavailable(f"the package {package} is missing; run pip install -e '.[{extra}]' -c constraints.txt")
