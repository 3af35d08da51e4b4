"""Opens the model of a configuration. Keys come from the environment and are stored nowhere."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from agent.config import AgentConfig
from agent.model_config import (
    AnthropicComputer,
    ChatModel,
    GeminiComputer,
    ModelConfig,
    OpenAIComputer,
    RandomClicks,
    RemoteModel,
    ScriptedSolution,
    TrainedPolicy,
)
from agent.models.anthropic_computer import AnthropicComputerTranslator
from agent.models.computer import ComputerModel, Translator, Vendor
from agent.models.gemini_computer import GeminiComputerTranslator
from agent.models.openai_chat import OpenAIChat, Served
from agent.models.openai_computer import OpenAIComputerTranslator
from agent.models.random import Random
from agent.models.scripted import Scripted, Solution
from agent.models.spread_chat import SpreadChat
from agent.models.vendors import ModelUnavailable, open_anthropic, open_gemini, open_openai
from agent.prompting.control_tokens import ControlTokens
from agent.prompting.tokenizer_files import TokenizerUnreadable, control_tokens
from agent.types import Policy

SDKS: dict[str, tuple[str, str]] = {
    "openai_computer": ("openai", "openai"),
    "gemini_computer": ("google.genai", "gemini"),
    "anthropic_computer": ("anthropic", "anthropic"),
}
"""Module and extra of this project for each vendor."""


@asynccontextmanager
async def open_model(
    config: AgentConfig,
    *,
    served: Served,
    uds: Path | None,
    solve: Solution | None,
    tokenizer: Path | None = None,
    others: Sequence[Path] = (),
) -> AsyncGenerator[Policy]:
    """The policy of `config.model`. `served`, `uds`, `tokenizer` (a directory) and `others` (sockets of further servers,
    in the order of `served.others`) are the trained policy's, `solve` is the environment's solution.

    Raises `ModelUnavailable` when its SDK or its key is missing, or the environment has no solution to play.
    """
    match config.model:
        case TrainedPolicy():
            control, sockets = await _control_of(tokenizer), (uds, *others)
            chats = [OpenAIChat(config, served.at(at), uds=one, control=control) for at, one in enumerate(sockets)]
            async with AsyncExitStack() as stack:
                for chat in chats:
                    await stack.enter_async_context(chat)
                yield SpreadChat(chats) if others else chats[0]
        case ChatModel(model=name, base_url=base_url, tokens=tokens) as remote:
            other, control = Served(model=name, tag=None, version=None), await _control_of(remote.tokenizer)
            key = key_of(remote)
            async with OpenAIChat(
                config, other, base_url=base_url, api_key=key, tokens=tokens, control=control
            ) as chat:
                yield chat
        case ScriptedSolution():
            if solve is None:
                raise ModelUnavailable("agent.model scripted: this environment has no scripted solutions")
            yield Scripted(solve)
        case RandomClicks(seed=seed):
            yield Random(seed)
        case OpenAIComputer() | GeminiComputer() | AnthropicComputer() as remote:
            translator, vendor = _vendor(remote, config)
            async with ComputerModel(
                translator, vendor, rounds_with_pictures=config.image_rounds, max_tokens=remote.max_tokens
            ) as computer:
                yield computer


def require_sdk(kind: str) -> None:
    """Raises `ModelUnavailable` if the vendor's package for this kind of model is not installed."""
    if (sdk := SDKS.get(kind)) is None:
        return
    module, extra = sdk
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # a parent package is missing
        found = None
    if found is None:
        raise ModelUnavailable(f"{kind} needs the package {module}; run pip install -e '.[{extra}]' -c constraints.txt")


def check_model(model: ModelConfig, environment: Mapping[str, str] = os.environ) -> str:
    """Checks without opening it that the model can be opened; returns its name. Raises `ModelUnavailable`."""
    require_sdk(model.kind)
    if not isinstance(model, RemoteModel):
        return model.kind
    key_of(model, environment)
    if isinstance(model, ChatModel) and model.tokenizer is not None:
        if not model.tokenizer.is_dir():
            raise ModelUnavailable(
                f"agent.model.tokenizer: {model.tokenizer} is no directory; name one with the model's tokenizer.json, or leave it out"
            )
        _read_control_tokens(model.tokenizer)
    return f"{model.kind} {model.model}"


async def _control_of(tokenizer: Path | None) -> ControlTokens:
    return await asyncio.to_thread(_read_control_tokens, tokenizer)  # a large vocabulary takes a second


def _read_control_tokens(tokenizer: Path | None) -> ControlTokens:
    try:
        return control_tokens(tokenizer)
    except TokenizerUnreadable as error:
        raise ModelUnavailable(str(error)) from error


def key_of(model: RemoteModel, environment: Mapping[str, str] = os.environ) -> str | None:
    """The model's key, None when it names no variable. Raises `ModelUnavailable` when the variable is not set."""
    if (name := model.api_key_env) is None:
        return None
    if not (key := environment.get(name)):
        raise ModelUnavailable(f"{model.model} needs a key in the environment variable {name}, which is not set")
    return key


def _vendor(
    remote: OpenAIComputer | GeminiComputer | AnthropicComputer, config: AgentConfig
) -> tuple[Translator, Vendor]:
    key, base_url, deadline_s = key_of(remote) or "", remote.base_url, config.completion_deadline_s
    match remote:
        case OpenAIComputer(model=model, summaries=summaries):
            return OpenAIComputerTranslator(model, summaries=summaries), open_openai(key, base_url, deadline_s)
        case GeminiComputer(model=model):
            return GeminiComputerTranslator(model), open_gemini(key, base_url, deadline_s)
        case AnthropicComputer(model=model, tool=tool):
            return AnthropicComputerTranslator(model, tool), open_anthropic(key, base_url, deadline_s)
