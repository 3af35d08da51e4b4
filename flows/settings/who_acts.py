"""The acting model of a stage."""

from pathlib import Path

from agent.config import AgentConfig
from agent.model_config import TrainedPolicy, VendorModel
from flows.settings.loop_config import LoopConfig
from storage.stages import Stage


def agent_of(config: LoopConfig, stage: Stage) -> AgentConfig:
    """The agent settings of a stage: model, temperature, prompt length."""
    agent = config.agent
    if stage is Stage.EVALUATE:
        changes = {"temperature": config.evaluate.temperature, "model": config.evaluate.model or agent.model}
        agent = agent.model_copy(update=changes)
    if isinstance(agent.model, VendorModel):
        agent = agent.model_copy(update={"interaction_mode": "coordinates"})  # number marks would hide the page
    if agent.prompt_tokens is None and isinstance(agent.model, TrainedPolicy):
        room = config.serving.max_model_len - agent.max_tokens
        agent = agent.model_copy(update={"prompt_tokens": room})
    return agent


def served_tokenizer(config: LoopConfig) -> Path:
    """The directory of vLLM's tokenizer: the first policy's (a reload changes weights only), unless overridden."""
    arguments = config.serving.extra_args
    for option, value in zip(arguments, (*arguments[1:], ""), strict=False):
        if option == "--tokenizer":
            return Path(value)
        if option.startswith("--tokenizer="):
            return Path(option.partition("=")[2])
    return config.policy.model
