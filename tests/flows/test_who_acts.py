"""The acting model of each stage, and refusals before anything starts."""

import pytest

from agent.model_config import GeminiComputer, TrainedPolicy
from flows.settings.loop_config import ConfigError, load_config
from flows.settings.who_acts import agent_of
from flows.starting.preflight import PreflightError, models
from storage.stages import Stage

VENDOR = "evaluate.model={kind: gemini_computer, model: gemini-x, api_key_env: NO_SUCH_KEY}"


def test_an_evaluation_can_have_another_model(write_config) -> None:
    config = load_config(write_config(), [VENDOR, "serving.max_model_len=8192", "agent.max_tokens=512"])
    rollout, evaluation = agent_of(config, Stage.ROLLOUT), agent_of(config, Stage.EVALUATE)
    assert isinstance(rollout.model, TrainedPolicy) and rollout.interaction_mode == "set_of_marks"
    assert rollout.prompt_tokens == 8192 - 512  # what the server's context leaves
    assert isinstance(evaluation.model, GeminiComputer) and evaluation.interaction_mode == "coordinates"
    assert evaluation.prompt_tokens is None


def test_a_missing_key_is_found_before_anything_starts(write_config) -> None:
    with pytest.raises(PreflightError, match="environment variable NO_SUCH_KEY"):
        models(load_config(write_config(), [VENDOR]))
    assert models(load_config(write_config())) == "policy"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("agent.model={kind: openai_computer, model: m, api_key_env: sk-abc}", "a key itself has no place here"),
        ("agent.image_rounds=2", "raise it or lower agent.image_rounds"),
    ],
)
def test_what_cannot_work_is_one_sentence(write_config, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        load_config(write_config(), [override])
    assert "sk-abc" not in str(refused.value)
