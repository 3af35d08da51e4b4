"""The policy that trains: a vLLM server (or any compatible one) asked over its chat API.

Keeps exactly what was sampled: prompt tokens with image placeholders expanded, completion tokens and their
log-probabilities, and the version of the weights that produced them. The version is proved, not assumed: after each
completion the server is asked what it serves, and an answer that is not the expected one discards the turn.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from pydantic import BaseModel, ValidationError

from agent.budget import PromptTooLong
from agent.config import AgentConfig
from agent.conversation import spoken
from agent.failures import failed
from agent.models.faults import READ, refused
from agent.parsing import FormatError, parse_brief, parse_full
from agent.profiles import PROFILES
from agent.prompts import compose
from agent.replies import thinking
from agent.storable import StorableText
from agent.types import AgentAction, Completion, Pictures, Step, Task, Turn
from browser_service.models import Observation

# The server closes a connection that has been idle for five seconds; one that we would use at that moment is lost.
LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
TRIES = 2


class Served(NamedTuple):
    """What a server must be serving. Example: `Served(model="policy-7f3a", tag="demo:0003", version=3)`."""

    model: str
    """Model name to ask for; ours is new for each server process, so a restarted server refuses old callers."""
    tag: str | None
    """Weight version that /weight_info must report; None for servers that have no such route."""
    version: int | None
    """Policy version written on each completion."""


class _Logprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Logprob] | None = None


class _Message(BaseModel):
    content: StorableText | None = None
    reasoning: StorableText | None = None
    """What a reasoning parser of vLLM took out of the content; older servers say reasoning_content."""
    reasoning_content: StorableText | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Reply(BaseModel):
    choices: list[_Choice]
    prompt_token_ids: list[int] | None = None


class OpenAIChat:
    """A chat model as a policy. Use as `async with OpenAIChat(...) as policy`. Safe for many episodes at once."""

    def __init__(
        self,
        config: AgentConfig,
        served: Served,
        *,
        uds: Path | None = None,
        base_url: str = "http://policy",
        api_key: str | None = None,
        seed: int | None = None,
        tokens: bool = True,
    ) -> None:
        """`uds` is the server's UNIX socket, else `base_url` is used; `seed` fixes sampling per request where given;
        `tokens` asks for token ids and log-probabilities, without which nothing can be trained."""
        self.served = served
        """What the server must be serving; may be changed between turns, each of which keeps to what it began with."""
        self._config, self._seed, self._tokens = config, seed, tokens
        self._api_key = api_key
        transport = httpx.AsyncHTTPTransport(uds=str(uds), limits=LIMITS) if uds else None
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = httpx.Timeout(config.completion_deadline_s)
        self._http = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Samples one completion and parses it. Raises `EpisodeFailure`: infra if the server broke, policy if the prompt is too long."""
        try:
            prompt = compose(goal, history, observation, self._config, pictures)
        except PromptTooLong as error:
            raise failed("policy", "PROMPT_TOO_LONG", str(error), retryable=False) from error
        served = self.served
        reply = await self._post(self._body(served, prompt.messages), served)
        await self._prove_version(served)
        completion = _completion(reply, self._config, served.version, prompt.images)
        try:
            return Turn(completion=completion, action=self._parse(completion, observation))
        except FormatError as error:
            return Turn(completion=completion, action=None, format_error=str(error))

    def _body(self, served: Served, messages: list[dict[str, Any]]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": served.model,
            "messages": messages,
            "max_tokens": self._config.max_tokens,
            "temperature": self._config.temperature,
            "top_p": 1.0,
        }
        if self._tokens:
            body |= {"top_k": -1, "logprobs": True, "return_token_ids": True}
        if self._seed is not None:
            body["seed"] = self._seed
        return body

    def _parse(self, completion: Completion, observation: Observation) -> AgentAction:
        config = self._config
        if config.prompt == "compact":
            return parse_brief(completion.text, config.interaction_mode, observation.viewport)
        profile = PROFILES[config.profile]
        try:
            return parse_full(spoken(completion, profile), config.interaction_mode, observation.viewport, profile)
        except FormatError as error:
            if completion.finish_reason == "stop":
                raise
            raise FormatError(f"the reply was cut off after {config.max_tokens} tokens: {error}") from None

    async def _post(self, body: dict[str, Any], served: Served) -> _Reply:
        try:
            response = await self._request("POST", "/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise failed(
                "infra", "MODEL_UNREACHABLE", f"no answer from the model server: {error!r}", retryable=True
            ) from error
        if response.status_code == 404 and served.tag is not None:
            message = f"the server no longer serves {served.model}: it was restarted"
            raise failed("infra", "MODEL_GONE", message, retryable=True)
        if response.status_code != 200:
            raise refused(response.status_code, self._told(response))
        try:
            return _Reply.model_validate(json.loads(response.content))
        except (ValueError, RecursionError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            message = f"the model server's answer can't be read: {why}"
            raise failed("infra", "MODEL_ERROR", message, retryable=True) from error

    def _told(self, response: httpx.Response) -> str:
        """An answer in words. Servers like to repeat the key they were shown; it goes into no log and no file."""
        text = response.text.replace(self._api_key, "***") if self._api_key else response.text
        return f"the model server answered {response.status_code}: {text[:READ]}"

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request; a connection that the server closed under it is tried once more, for sampling has no side effects."""
        for _ in range(TRIES - 1):
            try:
                return await self._http.request(method, path, **request)
            except httpx.RemoteProtocolError:
                continue
        return await self._http.request(method, path, **request)

    async def _prove_version(self, served: Served) -> None:
        if served.tag is None:
            return
        try:
            response = await self._request("GET", "/weight_info")
            found = response.json().get("weight_version")
        except (httpx.HTTPError, ValueError) as error:
            raise failed(
                "infra", "MODEL_UNREACHABLE", f"the model server does not tell its version: {error!r}", retryable=True
            ) from error
        if found != served.tag:
            message = f"expected weights {served.tag}, the server has {found}; the turn is discarded"
            raise failed("infra", "POLICY_CHANGED", message, retryable=True)


def _completion(reply: _Reply, config: AgentConfig, version: int | None, images: tuple[str, ...]) -> Completion:
    if not reply.choices:
        raise failed("infra", "MODEL_ERROR", "the model server answered without any choice", retryable=True)
    choice = reply.choices[0]
    text = choice.message.content or ""
    logprobs = [token.logprob for token in (choice.logprobs.content or [])] if choice.logprobs else []
    token_ids = choice.token_ids or []
    if len(token_ids) != len(logprobs):
        message = (
            f"the model server gave {len(token_ids)} tokens and {len(logprobs)} log-probabilities; they must match"
        )
        raise failed("infra", "MODEL_ERROR", message, retryable=True)
    return Completion(
        text=text,
        prompt_token_ids=tuple(reply.prompt_token_ids or ()),
        token_ids=tuple(token_ids),
        logprobs=tuple(logprobs),
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        policy_version=version,
        images=images,
        temperature=config.temperature,
        thoughts=choice.message.reasoning or choice.message.reasoning_content or thinking(text),
    )
