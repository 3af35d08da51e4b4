"""Refuses, before anything starts, a configuration in which not even an empty page without a goal fits the prompt."""

from agent.prompting.budget import PromptTooLong
from agent.prompting.prompts import compose
from browser_service.models import Observation, Screenshot
from environments.registry import make_environment
from flows.settings.loop_config import LoopConfig
from flows.settings.who_acts import agent_of
from storage.errors import LoopError
from storage.stages import Stage


class NoRoom(LoopError):
    """No prompt fits. The message is one sentence."""


def prompt_room(config: LoopConfig) -> str:
    """Checks that an empty page fits the prompt of the acting models, where the limit is known. Raises `NoRoom`."""
    room = "not known"
    for stage in (Stage.ROLLOUT, Stage.EVALUATE):
        agent = agent_of(config, stage)
        if agent.prompt_tokens is None:
            continue
        try:
            compose("", [], empty_page(config), agent)
        except PromptTooLong as error:
            raise NoRoom(
                f"{stage}: not even an empty page fits into the prompt, so no episode could begin: {error}; raise "
                f"serving.max_model_len or agent.prompt_tokens, or lower agent.max_tokens={agent.max_tokens} or the viewport"
            ) from None
        room = f"{agent.prompt_tokens} tokens"
    return f"room for a prompt: {room}"


def empty_page(config: LoopConfig) -> Observation:
    """An observation with a screenshot of the environment's size and no text."""
    viewport = make_environment(config.environment).viewport
    shot = Screenshot(sha256="", media_type="image/png", width=viewport.width, height=viewport.height, data="")
    return Observation(url="", title="", viewport=viewport, screenshot=shot)
