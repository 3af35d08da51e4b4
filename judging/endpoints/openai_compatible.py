"""Judge models behind an OpenAI-compatible chat server: a local vLLM, OpenAI itself, most vendors."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

from agent.failures import EpisodeFailure
from agent.models.chat_server import ChatServer
from agent.models.computer import mapping, mappings
from agent.models.faults import READ, answered_within
from agent.storable import load_json
from judging.endpoints.estimates import reported, tokens_of
from judging.endpoints.protocol import EndpointError, Finish, Json, Part, Picture, Reply
from judging.endpoints.troubles import trouble_of
from telemetry.model_calls import model_call

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}
# The error may also repeat a page's text; then the schema is left out for nothing, and the parser is as strict as before.
_UNCONSTRAINED = re.compile(r"response_format|json_schema|json schema|guided|grammar", re.IGNORECASE)


class OpenAICompatible:
    """A vision model at `base_url` (without `/v1`) or at a UNIX socket, asked at temperature 0."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str = "http://judge",
        uds: Path | None = None,
        api_key: str | None = None,
        deadline_s: float = 120,
        max_tokens: int = 4_096,
        constrained: bool = True,
    ) -> None:
        """`constrained` sends the schema as `response_format`; it is left out once a server has rejected it."""
        self.model = model
        self._deadline_s, self._max_tokens, self._constrained = deadline_s, max_tokens, constrained
        self._server = ChatServer(uds=uds, base_url=base_url, api_key=api_key, longest_pause_s=deadline_s)

    async def ask(self, system: str, parts: Sequence[Part], schema: Json) -> Reply:
        """Returns the reply; 429 and 5xx are retried, after the server's own pause. Raises `EndpointError`."""
        with model_call(self._server.provider, model=self.model, max_tokens=self._max_tokens, temperature=0.0) as call:
            try:
                async with answered_within(self._deadline_s, "the judge"):
                    content = await self._answer(system, parts, schema)
            except EpisodeFailure as error:
                raise trouble_of(error) from error
            try:
                reply = _reply(mapping(load_json(content)), tokens_of(system, *parts))
            except ValueError as error:
                raise EndpointError("unavailable", f"the judge's answer can't be read: {error}"[:500]) from error
            call.set(input_tokens=reply.tokens_in, output_tokens=reply.tokens_out, finish=reply.finish)
            return reply

    async def close(self) -> None:
        """Closes the connections."""
        await self._server.close()

    async def _answer(self, system: str, parts: Sequence[Part], schema: Json) -> bytes:
        body: Json = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": [_part(part) for part in parts]},
            ],
            "max_tokens": self._max_tokens,
            "temperature": 0,
            "seed": 0,
        }
        form = {"name": "verdict", "schema": schema, "strict": True}
        constraint: Json = {"response_format": {"type": "json_schema", "json_schema": form}}
        response = await self._server.ask(
            "POST", "/v1/chat/completions", body | (constraint if self._constrained else {})
        )
        if self._constrained and response.status_code in (400, 422) and _UNCONSTRAINED.search(response.text[:READ]):
            self._constrained = False
            response = await self._server.ask("POST", "/v1/chat/completions", body)
        if response.status_code != 200:
            raise self._server.refusal(response)
        return response.content


def _part(part: Part) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    # Bytes only, never an address: a server that fetches addresses could be sent anywhere.
    return {"type": "image_url", "image_url": {"url": data_url(part)}}


def data_url(picture: Picture) -> str:
    """A picture as a `data:` address."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _reply(answer: Json, estimate: int) -> Reply:
    """The first choice. Raises ValueError when there is none; a reply without text is an empty one."""
    choice = next(iter(mappings(answer.get("choices"))), None)
    if choice is None:
        raise ValueError(f"expected a choice, found {json.dumps(answer)[:200]}")
    message, usage = mapping(choice.get("message")), mapping(answer.get("usage"))
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    finish = FINISHES.get(str(choice.get("finish_reason")), "other")
    return Reply(
        text=text,
        tokens_in=reported(usage.get("prompt_tokens"), estimate),
        tokens_out=reported(usage.get("completion_tokens"), tokens_of(text)),
        finish="refused" if message.get("refusal") else finish,
    )
