"""Judge models of Anthropic and Google, over the vendors' own SDKs. Their replies are constrained by the schema."""

import base64
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from agent.failures import EpisodeFailure
from agent.models.computer import Vendor, mapping, mappings
from agent.models.vendors import open_anthropic, open_gemini
from judging.endpoints.estimates import reported, tokens_of
from judging.endpoints.protocol import Finish, Json, Part, Reply
from judging.endpoints.troubles import trouble_of

ANTHROPIC_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
GEMINI_FINISHES: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "BLOCKLIST": "refused",
    "PROHIBITED_CONTENT": "refused",
    "SPII": "refused",
    "MODEL_ARMOR": "refused",
}


class Asking(NamedTuple):
    """A question to a vendor's model."""

    model: str
    system: str
    parts: Sequence[Part]
    schema: Json
    max_tokens: int


class Translator(Protocol):
    """A vendor's protocol as two pure functions."""

    def request(self, asking: Asking) -> Json:
        """The request's body."""
        ...

    def read(self, answer: Json, estimate: int) -> Reply:
        """The reply in an answer; `estimate` is the prompt's size in tokens where the answer has none."""
        ...


class VendorEndpoint:
    """A vendor's model as a judge. The SDK retries temporary errors within the deadline."""

    def __init__(self, model: str, translator: Translator, vendor: Vendor, *, max_tokens: int) -> None:
        self.model = model
        self._translator, self._vendor, self._max_tokens = translator, vendor, max_tokens

    async def ask(self, system: str, parts: Sequence[Part], schema: Json) -> Reply:
        """Returns the reply. Raises `EndpointError`."""
        asking = Asking(self.model, system, parts, schema, self._max_tokens)
        try:
            answer = await self._vendor.ask(self._translator.request(asking))
        except EpisodeFailure as error:
            raise trouble_of(error) from error
        return self._translator.read(answer, tokens_of(system, *parts))

    async def close(self) -> None:
        """Closes the connections."""
        await self._vendor.close()


def anthropic_judge(
    model: str, *, key: str, base_url: str | None = None, deadline_s: float = 120, max_tokens: int = 4_096
) -> VendorEndpoint:
    """A judge at Anthropic's Messages API. Raises `ModelUnavailable` without the SDK."""
    vendor = open_anthropic(key, base_url, deadline_s)
    return VendorEndpoint(model, AnthropicTranslator(), vendor, max_tokens=max_tokens)


def gemini_judge(
    model: str, *, key: str, base_url: str | None = None, deadline_s: float = 120, max_tokens: int = 8_192
) -> VendorEndpoint:
    """A judge at Google's generate_content; its hidden reasoning counts in `max_tokens`. Raises `ModelUnavailable`."""
    return VendorEndpoint(model, GeminiTranslator(), open_gemini(key, base_url, deadline_s), max_tokens=max_tokens)


class AnthropicTranslator:
    """The Messages API. Its newest models take no temperature."""

    def request(self, asking: Asking) -> Json:
        """The request's body."""
        return {
            "model": asking.model,
            "max_tokens": asking.max_tokens,
            "system": asking.system,
            "messages": [{"role": "user", "content": _parts(asking.parts, _anthropic_picture, _anthropic_text)}],
            "output_config": {"format": {"type": "json_schema", "schema": asking.schema}},
        }

    def read(self, answer: Json, estimate: int) -> Reply:
        """The text blocks; thinking is left out."""
        texts = [block.get("text") for block in mappings(answer.get("content")) if block.get("type") == "text"]
        text = "".join(each for each in texts if isinstance(each, str))
        usage = mapping(answer.get("usage"))
        # Tokens read from and written to the cache are reported apart, and are charged as well.
        cached = reported(usage.get("cache_read_input_tokens"), 0) + reported(
            usage.get("cache_creation_input_tokens"), 0
        )
        return Reply(
            text,
            reported(usage.get("input_tokens"), estimate) + cached,
            reported(usage.get("output_tokens"), tokens_of(text)),
            ANTHROPIC_FINISHES.get(str(answer.get("stop_reason")), "other"),
        )


class GeminiTranslator:
    """generate_content, at temperature 0."""

    def request(self, asking: Asking) -> Json:
        """The request's body."""
        return {
            "model": asking.model,
            "contents": [{"role": "user", "parts": _parts(asking.parts, _gemini_picture, _gemini_text)}],
            "config": {
                "system_instruction": asking.system,
                "max_output_tokens": asking.max_tokens,
                "temperature": 0,
                "seed": 0,
                "response_mime_type": "application/json",
                "response_json_schema": asking.schema,
            },
        }

    def read(self, answer: Json, estimate: int) -> Reply:
        """The first candidate's text; thoughts are left out and their tokens counted."""
        candidate = next(iter(mappings(answer.get("candidates"))), {})
        parts = mappings(mapping(candidate.get("content")).get("parts"))
        texts = [part.get("text") for part in parts if not part.get("thought")]
        text = "".join(each for each in texts if isinstance(each, str))
        usage = mapping(answer.get("usage_metadata"))
        blocked = mapping(answer.get("prompt_feedback")).get("block_reason")
        spoken = reported(usage.get("candidates_token_count"), tokens_of(text))
        return Reply(
            text,
            reported(usage.get("prompt_token_count"), estimate),
            spoken + reported(usage.get("thoughts_token_count"), 0),
            "refused" if blocked else GEMINI_FINISHES.get(str(candidate.get("finish_reason")), "other"),
        )


def _parts(parts: Sequence[Part], picture: Callable[[str, str], Json], text: Callable[[str], Json]) -> list[Json]:
    return [
        text(part) if isinstance(part, str) else picture(part.media_type, base64.b64encode(part.data).decode())
        for part in parts
    ]


def _anthropic_text(text: str) -> Json:
    return {"type": "text", "text": text}


def _anthropic_picture(media_type: str, data: str) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _gemini_text(text: str) -> Json:
    return {"text": text}


def _gemini_picture(media_type: str, data: str) -> Json:
    return {"inline_data": {"mime_type": media_type, "data": data}}
