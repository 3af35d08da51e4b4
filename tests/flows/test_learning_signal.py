"""Warnings of a run that learns nothing: at its start if there is no verifier, and after each update without signal."""

import logging

import pytest
from loop_configs import WriteConfig

from flows.commands import screens
from flows.commands.watching import look
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.stages import loop
from flows.tracking import tracking
from flows.tracking.learning_signal import no_signal, warnings
from storage.stages import Stage, StageKey, StageReport

EQUAL = {"version": 2, "steps": 0, "groups": 4, "groups_zero_signal": 3, "groups_too_small": 1}


def updated(iteration: int, **counts: int) -> StageReport:
    return StageReport(stage=Stage.POLICY_UPDATE, iteration=iteration, seconds=1.0, counts=counts)


@pytest.fixture
def live(write_config: WriteConfig) -> LoopConfig:
    """A configuration with tasks of a file, without a verifier."""
    tasks = {"train": "train.jsonl", "heldout": "heldout.jsonl"}
    return load_config(write_config(environment={"name": "live", "tasks": tasks}))


def test_an_update_without_a_signal_says_why() -> None:
    said = no_signal(updated(3, **EQUAL))
    assert (
        said == "no signal: of 4 groups 3 have equal rewards and 1 too few judged episodes, so the policy stays v0002"
    )
    assert no_signal(updated(3, version=3, steps=4)) is None
    assert no_signal(StageReport(stage=Stage.JUDGE, iteration=3, seconds=1.0)) is None


def test_the_terminal_and_mlflow_say_it() -> None:
    silent, loud = updated(3, **EQUAL), updated(3, version=3, steps=4)
    assert "no signal: of 4 groups" in screens.stage_line(silent) and "optimiser steps" in screens.stage_line(loud)
    assert [tracking.metrics_of(one)["train/no_signal"] for one in (silent, loud)] == [1.0, 0.0]


def test_only_an_environment_that_nobody_judges_is_warned_of(config: LoopConfig, live: LoopConfig) -> None:
    assert warnings(config) == []
    (warning,) = warnings(live)
    assert warning.startswith("environment live: it has no verifier")


def test_the_warning_is_shown_once_before_the_first_stage(live: LoopConfig, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create("a", live)
    with screens.run_screen() as show:
        for seconds in (0.0, 1.0):
            show(look(folder, state="RUNNING", seconds=seconds))
    assert capsys.readouterr().out.count("it has no verifier") == 1


async def test_the_log_of_the_run_begins_with_the_warning(live: LoopConfig, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def stage(folder: RunFolder, key: StageKey, workers: object = None) -> None:
        seen.append(caplog.text)
        folder.finish(StageReport(stage=key.stage, iteration=key.iteration, seconds=1.0))

    with caplog.at_level(logging.WARNING):
        await loop.run_loop(RunFolder.create("a", live), stage)
    assert "it has no verifier" in seen[0]


async def test_a_live_run_is_judged_and_goes_on(live: LoopConfig) -> None:
    """It collects trajectories, as the warning says."""
    folder = RunFolder.create("a", live)
    report = await loop.judge_stage(folder, 1)
    assert report.counts == {"verdicts": 0, "unjudged": 0} and folder.is_done(1, Stage.JUDGE)
