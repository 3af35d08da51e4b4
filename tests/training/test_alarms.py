"""Alarms by their bounds, and what `update.alarms` makes of them."""

from typing import Any

import pytest

from training.config import UpdateConfig
from training.errors import Alarmed
from training.learning.alarms import find_alarms, heed

COUNTS = {"groups": 9, "groups_zero_signal": 6, "groups_used": 2, "groups_too_small": 1}
METRICS = {"entropy": 0.02, "gap_mean": 0.001}


@pytest.mark.parametrize(
    ("settings", "sentences"),
    [
        ({}, []),
        ({"alarm_entropy": 0.05}, ["entropy collapsed: 0.02 nats per token, below update.alarm_entropy 0.05"]),
        ({"alarm_gap": 0.0005}, ["trainer and server differ by 0.001 nats per token, above update.alarm_gap 0.0005"]),
        (
            {"alarm_zero_groups": 0.75},
            ["6 of 8 groups have no signal, at or above update.alarm_zero_groups 0.75"],
        ),
        ({"alarm_zero_groups": 0.8, "alarm_entropy": 0}, []),
        ({"alarm_zero_groups": 0.0}, []),
        ({"alarm_zero_groups": 0.1, "alarms": "off"}, []),
    ],
)
def test_an_alarm_is_raised_at_its_bound(settings: dict[str, Any], sentences: list[str]) -> None:
    found = find_alarms(METRICS, COUNTS, UpdateConfig.model_validate(settings))
    assert len(found) == len(sentences)
    assert all(one.startswith(sentence) for one, sentence in zip(found, sentences, strict=True))


def test_a_group_that_is_too_small_does_not_silence_the_alarm() -> None:
    counts = {"groups": 8, "groups_zero_signal": 7, "groups_used": 0, "groups_too_small": 1}
    (found,) = find_alarms({}, counts, UpdateConfig())
    assert found.startswith("7 of 7 groups have no signal")


def test_a_gap_that_could_not_be_measured_is_an_alarm_where_one_was_asked_for() -> None:
    assert find_alarms({"gap_tokens": 0.0}, {}, UpdateConfig()) == ()
    (found,) = find_alarms({"gap_tokens": 0.0}, {}, UpdateConfig(alarm_gap=0.1))
    assert found.startswith("trainer and server could not be compared for update.alarm_gap 0.1")


def test_without_numbers_there_is_no_alarm() -> None:
    assert find_alarms({}, {}, UpdateConfig(alarm_gap=1e-9)) == ()


def test_an_alarm_stops_only_if_asked_to() -> None:
    assert heed(("collapsed",), UpdateConfig()) == ("collapsed",)
    assert heed((), UpdateConfig(alarms="stop")) == ()
    with pytest.raises(Alarmed, match=r"alarm: collapsed; nothing is written.*resume RUN update\.alarms=warn"):
        heed(("collapsed",), UpdateConfig(alarms="stop"))
