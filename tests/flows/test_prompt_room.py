"""A configuration in which no first prompt can fit is refused before anything is started, and no other one."""

from pathlib import Path

import pytest
from loop_configs import WriteConfig

from flows.policy.prompt_room import NoRoom, prompt_room
from flows.settings.loop_config import load_config
from flows.starting.preflight import findings

CONFIGS = sorted(path for path in Path("configs").glob("*.yaml"))


@pytest.mark.parametrize(
    "override",
    [
        ["serving.max_model_len=1024", "agent.max_tokens=1024"],
        ["serving.max_model_len=512", "agent.max_tokens=64"],
        ["agent.prompt_tokens=256"],
    ],
)
def test_no_room_for_an_empty_page_is_refused(write_config: WriteConfig, override: list[str]) -> None:
    config = load_config(write_config(), override)
    with pytest.raises(NoRoom, match="not even an empty page fits into the prompt"):
        prompt_room(config)
    assert [finding.check for finding in findings(config) if "empty page" in finding.text] == ["prompt"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_our_own_configurations_have_room(path: Path) -> None:
    assert "room for a prompt" in prompt_room(load_config(path))


def test_where_the_room_is_not_known_nothing_is_refused(write_config: WriteConfig) -> None:
    other = {"model": {"kind": "openai_chat", "model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    assert prompt_room(load_config(write_config(agent=other))) == "room for a prompt: not known"
