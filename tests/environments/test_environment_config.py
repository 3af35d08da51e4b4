"""The environment section of a configuration: mistakes are one sentence, before anything starts."""

import pytest
from pydantic import ValidationError

from environments.config import EnvironmentConfig
from environments.miniwob import MiniWob
from environments.registry import make_environment


def message_of(error: pytest.ExceptionInfo[ValidationError]) -> str:
    [only] = error.value.errors()
    return only["msg"]


def test_evaluation_plays_the_training_families_unless_told_otherwise() -> None:
    assert EnvironmentConfig(domains=("click-button",)).evaluation_domains == ("click-button",)
    config = EnvironmentConfig(domains=("click-button",), heldout_domains=("click-link", "click-tab"))
    assert config.evaluation_domains == ("click-link", "click-tab")


def test_a_mistyped_family_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig.model_validate({"domains": ["click-buton"]})
    assert "There is no MiniWoB++ family 'click-buton'; did you mean click-button" in message_of(error)


def test_a_mistyped_held_out_family_is_refused() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig(domains=("click-button",), heldout_domains=("click-tabs",))
    assert "did you mean click-tab" in message_of(error)


def test_a_repeated_family_is_refused() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig(domains=("click-tab", "click-tab"))
    assert "domains names a task family twice" in message_of(error)


@pytest.mark.parametrize("wrong", [{}, {"domains": []}, {"domains": ["click-tab"], "colour": 1}, {"name": "webshop"}])
def test_missing_empty_and_unknown_fields_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EnvironmentConfig.model_validate(wrong)


def test_the_environment_gets_the_configured_viewport() -> None:
    config = EnvironmentConfig.model_validate({"domains": ["click-tab"], "viewport": {"width": 320, "height": 240}})
    environment = make_environment(config)
    assert isinstance(environment, MiniWob)
    assert environment.viewport == config.viewport
    assert make_environment(EnvironmentConfig(domains=("click-tab",))).viewport.width == 160
