"""Configuration of the acting model: one class per `kind`. Keys stay in environment variables, named here."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RemoteModel(_Kind):
    """A model behind an address that may need a key."""

    model: str
    """Model name on the server."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        # The message must not repeat the value: it may be the key itself.
        if value is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", value):
            raise ValueError(
                "expected the NAME of an environment variable, in capitals; a key itself has no place here"
            )
        return value

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _has_no_secret(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^@\s]+", value):
            raise ValueError("expected an http:// or https:// address without user or password")
        return value


class TrainedPolicy(_Kind):
    """The policy that the loop trains, at its own vLLM server."""

    kind: Literal["policy"] = "policy"


class ChatModel(RemoteModel):
    """Any model behind an OpenAI-compatible chat server, prompted and parsed like the policy."""

    kind: Literal["openai_chat"] = "openai_chat"
    base_url: str
    """Address without `/v1`. Example: `http://127.0.0.1:8000`."""
    tokens: bool = False
    """Ask for token ids and log-probabilities, which vLLM provides and vendors do not."""
    tokenizer: Path | None = None
    """Directory with the tokenizer's files of the served model, whose control tokens are then broken in pages' text.
    None: the control tokens of all known families are broken."""


class _ComputerModel(RemoteModel):
    """A vendor's model with a computer tool."""

    max_tokens: Annotated[int, Field(ge=1)] = 8_192
    """Largest reply in tokens, in place of `agent.max_tokens`: vendors count their hidden reasoning."""


class OpenAIComputer(_ComputerModel):
    """OpenAI's computer tool, over the Responses API."""

    kind: Literal["openai_computer"] = "openai_computer"
    base_url: str | None = None
    api_key_env: str | None = "OPENAI_API_KEY"
    summaries: bool = True
    """Ask for summaries of the reasoning. OpenAI rejects that for organisations that it has not verified."""


class GeminiComputer(_ComputerModel):
    """Gemini's computer-use tool; the vocabulary of the answer is detected."""

    kind: Literal["gemini_computer"] = "gemini_computer"
    base_url: str | None = None
    api_key_env: str | None = "GEMINI_API_KEY"


class AnthropicComputer(_ComputerModel):
    """Anthropic's computer tool, in either generation."""

    kind: Literal["anthropic_computer"] = "anthropic_computer"
    tool: Literal["computer_toolset_20260801", "computer_20251124"] = "computer_toolset_20260801"
    """The newest models take only the toolset; Bedrock and Foundry offer only the tool before it."""
    base_url: str | None = None
    api_key_env: str | None = "ANTHROPIC_API_KEY"


class ScriptedSolution(_Kind):
    """The environment's own solution, without a model. Its observations have the page's text, too."""

    kind: Literal["scripted"] = "scripted"


class RandomClicks(_Kind):
    """Random clicks: the lower bound of every comparison."""

    kind: Literal["random"] = "random"
    seed: int = 0


VendorModel = OpenAIComputer | GeminiComputer | AnthropicComputer
ModelConfig = Annotated[
    TrainedPolicy | ChatModel | VendorModel | ScriptedSolution | RandomClicks, Field(discriminator="kind")
]
