"""The doctor tells which stored prompts hold other placeholders than those of their pictures."""

from pathlib import Path

import pytest

from agent.types import Completion, Step, StopReason, Task, Trajectory
from browser_service.models import Observation, Screenshot, Viewport
from flows.commands.checkup import findings
from flows.policy.placeholder_check import picture_tokens
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import served_tokenizer
from flows.starting.preflight import PreflightError, model
from storage.stages import Stage
from storage.store import TrajectoryStore

TINY = Path(__file__).parents[2] / "policies" / "tiny"
PAD = 5
SHOT = Screenshot(sha256="ab" * 32, media_type="image/png", width=160, height=210)
PADS = 5 * 7
"""Cells of 32 pixels nearest to 160 x 210."""


@pytest.fixture
def folder(write_config) -> RunFolder:
    return RunFolder.create("a", load_config(write_config(policy={"model": str(TINY)})))


def keep(folder: RunFolder, stage: Stage, name: str, *pads: int, version: int | None = 1, pictures: int = 1) -> None:
    page = Observation(url="http://a/", title="A", viewport=Viewport(), screenshot=SHOT)
    said = [
        Completion(
            text="click(1)",
            prompt_token_ids=(20, *[PAD] * count, 21),
            token_ids=(22,),
            logprobs=(-0.5,),
            policy_version=version,
            images=(SHOT.sha256,) * pictures,
        )
        for count in pads
    ]
    steps = tuple(Step(index=n, observation=page, completion=each, action=None) for n, each in enumerate(said))
    task = Task(id="t", environment="miniwob")
    played = Trajectory(
        id=name, task=task, goal="g", group="g", member=0, iteration=1, steps=steps, stop=StopReason.DONE
    )
    TrajectoryStore(folder.stage_dir(1, stage)).write(played, {})


def reported(folder: RunFolder) -> tuple[bool, str]:
    [finding] = [finding for finding in findings(folder.root) if finding.check == "placeholders"]
    return finding.ok, finding.text


def test_one_placeholder_too_many_is_refused_with_its_step(folder: RunFolder) -> None:
    keep(folder, Stage.ROLLOUT, "whole", PADS, PADS)
    keep(folder, Stage.EVALUATE, "two", 2 * PADS, pictures=2)
    keep(folder, Stage.ROLLOUT, "theirs", PADS + 3, version=None)
    assert reported(folder) == (True, "the prompts of 3 trajectories hold the placeholders of their pictures")
    keep(folder, Stage.ROLLOUT, "forged", PADS, PADS + 1)
    ok, text = reported(folder)
    assert (
        not ok and "rollout/forged, step 1: its prompt has 36 picture placeholders, but its 1 pictures make 35" in text
    )
    keep(folder, Stage.ROLLOUT, "many", *[PADS - 1] * 7)
    assert reported(folder)[1].count("\n") == 5 and "(and 3 more steps)" in reported(folder)[1]


def test_a_policy_that_does_not_tell_is_not_checked(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    keep(folder, Stage.ROLLOUT, "any", 1)
    assert reported(folder)[0] and reported(folder)[1].startswith("not checked")


def test_older_processors_name_their_bounds_otherwise(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"image_token_id": 9}')
    (tmp_path / "preprocessor_config.json").write_text(
        '{"patch_size": 14, "merge_size": 2, "min_pixels": 3136, "max_pixels": 1000000}'
    )
    tokens = picture_tokens(tmp_path)
    assert tokens is not None and (tokens.token, tokens.rule.tokens(280, 56)) == (9, 20)


def test_the_tokenizer_is_the_one_that_vllm_gets(write_config, tmp_path: Path) -> None:
    for arguments in (["--tokenizer", str(tmp_path)], ["--enforce-eager", f"--tokenizer={tmp_path}"]):
        assert served_tokenizer(load_config(write_config(serving={"extra_args": arguments}))) == tmp_path
    config = load_config(write_config(serving={"extra_args": ["--tokenizer-mode", "auto"]}))
    assert served_tokenizer(config) == config.policy.model


def test_a_tokenizer_that_cannot_be_read_is_refused_before_the_start(config: LoopConfig) -> None:
    (config.policy.model / "tokenizer.json").write_text("{")
    with pytest.raises(PreflightError, match=r"tokenizer\.json cannot be read"):
        model(config)
