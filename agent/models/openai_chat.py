"""The policy that trains: a vLLM server (or any compatible one) used over its chat API.

Keeps the exact sample: prompt tokens with image placeholders expanded, completion tokens and their log-probabilities,
and the version of the weights that produced them. The version is proved, not assumed: after each completion the server
is asked for its version, and another version than the expected one discards the turn.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from agent.config import AgentConfig
from agent.failures import failed
from agent.models.chat_reply import completion_of
from agent.models.chat_server import ChatServer
from agent.models.faults import answered_within
from agent.parsing import FormatError, parse_brief, parse_full
from agent.profiles import PROFILES
from agent.prompting.budget import PromptTooLong
from agent.prompting.control_tokens import GENERIC, ControlTokens
from agent.prompting.conversation import spoken
from agent.prompting.prompts import compose
from agent.types import AgentAction, Completion, Pictures, Step, Task, Turn
from browser_service.models import Observation
from telemetry.ids import ids
from telemetry.model_calls import model_call

NOBODY_BEHIND = frozenset({502, 504})
"""Answers of a proxy before the loop's own server, never of vLLM: its machine is away, and no episode is at fault."""


class Served(NamedTuple):
    """The expected state of a server. Example: `Served(model="policy-7f3a", tag="demo:0003", version=3)`."""

    model: str
    """Model name in requests; the loop's own is new for each server process, so a restarted server rejects old
    callers."""
    tag: str | None
    """Weight version that /weight_info must report; None for servers without that route."""
    version: int | None
    """Policy version written on each completion."""
    others: tuple[str, ...] = ()
    """Model names of the further servers of the same policy, where there are several."""

    def at(self, server: int) -> "Served":
        """The expected state of one of several servers, numbered from 0."""
        return self._replace(model=(self.model, *self.others)[server], others=())


def turn_seed(seed: int, episode: str, turn: int) -> int:
    """The seed of one turn, in 31 bits. `episode` is the trajectory's id: members of a group have others, and so other samples."""
    return int.from_bytes(sha256(f"{seed}/{episode}/{turn}".encode()).digest()[:4]) >> 1


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
        control: ControlTokens = GENERIC,
    ) -> None:
        """`uds` is the server's UNIX socket, else `base_url` is used; `seed` is that of every request where given, in
        place of `config.seed`, which gives each turn its own; `tokens` asks for token ids and log-probabilities, which
        training needs; `control` are the control tokens of the model's tokenizer, which are broken in pages' text."""
        self.served = served
        """The expected state of the server; may be changed between turns, and each turn uses the value at its begin."""
        self._config, self._seed, self._tokens, self._control = config, seed, tokens, control
        self._server = ChatServer(
            uds=uds, base_url=base_url, api_key=api_key, longest_pause_s=config.completion_deadline_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Samples one completion and parses it. Raises `EpisodeFailure`, of the server or of the policy's prompt."""
        try:
            prompt = compose(goal, history, observation, self._config, pictures, self._control)
        except PromptTooLong as error:
            raise failed("policy", "PROMPT_TOO_LONG", str(error), retryable=False) from error
        completion = await self._complete(prompt.messages, prompt.images, len(history))
        try:
            return Turn(completion=completion, action=self._parse(completion, observation))
        except FormatError as error:
            return Turn(completion=completion, action=None, format_error=str(error))

    async def _complete(self, messages: list[dict[str, Any]], images: tuple[str, ...], turn: int) -> Completion:
        """One completion, proved to be of the expected version. Raises `EpisodeFailure`."""
        served, config = self.served, self._config
        with model_call(
            self._server.provider, model=served.model, max_tokens=config.max_tokens, temperature=config.temperature
        ) as call:
            call.set(policy_version=served.version)
            async with answered_within(config.completion_deadline_s, "the model server"):
                answer = await self._ask(self._body(served, messages, turn=turn), served)
                await self._prove_version(served)
            completion = completion_of(
                answer, tokens=self._tokens, version=served.version, images=images, temperature=config.temperature
            )
            call.set(
                input_tokens=len(completion.prompt_token_ids) or None,
                output_tokens=len(completion.token_ids) or None,
                finish=completion.finish_reason,
            )
        return completion

    def _body(self, served: Served, messages: list[dict[str, Any]], *, turn: int) -> dict[str, Any]:
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
        elif self._config.seed is not None:
            body["seed"] = turn_seed(self._config.seed, ids().get("trajectory", ""), turn)
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

    async def _ask(self, body: dict[str, Any], served: Served) -> bytes:
        response = await self._server.ask("POST", "/v1/chat/completions", body)
        if response.status_code == 404 and served.tag is not None:
            message = f"the server no longer serves {served.model}: it was restarted"
            raise failed("infra", "MODEL_GONE", message, retryable=True)
        if response.status_code in NOBODY_BEHIND and served.tag is not None:
            message = f"nobody answers behind the door of the model server: {response.text[:200]}"
            raise failed("infra", "MODEL_UNREACHABLE", message, retryable=True)
        if response.status_code != 200:
            raise self._server.refusal(response)
        return response.content

    async def _prove_version(self, served: Served) -> None:
        if served.tag is None:
            return
        response = await self._server.ask("GET", "/weight_info")
        try:
            found = response.json()["weight_version"]
        except (ValueError, LookupError, TypeError) as error:
            message = f"the model server does not tell its version: {error!r}"
            raise failed("infra", "MODEL_UNREACHABLE", message, retryable=True) from error
        if found != served.tag:
            message = f"expected weights {served.tag}, the server has {found}; the turn is discarded"
            raise failed("infra", "POLICY_CHANGED", message, retryable=True)
