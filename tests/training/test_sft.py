"""Supervised fine-tuning on the best trajectories: which are chosen, and that the policy learns to repeat them."""

import json
from pathlib import Path

import pytest
from stored_rollouts import Rollout, as_sample

from training.checkpointing.checkpoints import import_policy
from training.learning.models import load_policy, pick_device, score
from training.sampling.replay import Played
from training.sft import best_of, main, successes


def test_the_shortest_successes_of_each_task_are_chosen(rollout: Rollout) -> None:
    for name, group, count, reward in (
        ("a", "g0", 3, 1.0),
        ("b", "g0", 2, 1.0),
        ("c", "g0", 1, 0.0),
        ("d", "g1", 4, 1.0),
    ):
        rollout.add(name, group=group, count=count, reward=reward)
    found = successes([(rollout.store.root, rollout.verdicts_path)], 1.0)
    assert sorted(one.trajectory.id for one in found) == ["a", "b", "d"]
    assert [one.trajectory.id for one in best_of(found, 1)] == ["b", "d"]
    assert [one.trajectory.id for one in best_of(found, 2)] == ["b", "a", "d"]
    newer = Played(found[1].trajectory.model_copy(update={"iteration": 2, "id": "z"}), 1.0)
    assert best_of([*found, newer], 1)[0] is newer


def test_the_policy_learns_to_repeat_what_it_is_shown(
    filled: Rollout, model_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to = tmp_path / "warm"
    arguments = ["--policy", str(model_directory), "--to", str(to), "--played", str(filled.store.root)]
    arguments += [str(filled.verdicts_path), "--epochs", "3", "--learning-rate", "3e-3", "--device", "cpu"]
    assert main(arguments) == 0, caplog.text
    before, after = (load_policy(one, dtype="float32", device=pick_device("cpu")) for one in (model_directory, to))
    for trajectory in filled.store:
        samples = [as_sample(step.completion) for step in trajectory.steps if step.completion]
        gain = [
            sum(b) - sum(a)
            for a, b in zip(*(score(p, samples, filled.store.image) for p in (before, after)), strict=True)
        ]
        if trajectory.id in ("t00", "t10"):  # the one success of each task
            assert min(gain) > 1.0
    assert import_policy(to, tmp_path / "policies").version == 0
    assert "4 steps of 2 verified successes" in (to / "README.md").read_text()
    assert main(arguments) == 2
    assert "exists already; name a folder that does not" in caplog.text


def test_nothing_to_imitate_is_one_sentence(
    rollout: Rollout, model_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rollout.add("a", reward=0.0)
    arguments = ["--policy", str(model_directory), "--to", str(tmp_path / "warm"), "--played", str(rollout.store.root)]
    assert main([*arguments, str(rollout.verdicts_path)]) == 2
    assert "none of the trajectories in 1 stages is a success" in caplog.text
    assert not list(tmp_path.glob("*warm*"))


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--learning-rate", "nan", "--learning-rate nan: Input should be a finite number"),
        ("--device", "tpu", "--device tpu: Input should be 'auto', 'cpu' or 'cuda'"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(
    option: str, value: str, sentence: str, rollout: Rollout, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["--policy", str(tmp_path), "--to", str(tmp_path / "warm"), "--played", str(rollout.store.root)]
    assert main([*arguments, str(rollout.verdicts_path), option, value]) == 2
    assert sentence in caplog.text


def test_a_version_is_exported_without_files_of_the_loop(model_directory: Path, tmp_path: Path) -> None:
    from training.model_folder import Point, card_of, export_policy

    checkpoint = import_policy(model_directory, tmp_path / "policies")
    card = card_of(checkpoint, name="demo", data="Tasks.", curve=[Point(0, None, 0.476), Point(1, 0.5, None)])
    export_policy(checkpoint, tmp_path / "out", card)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"manifest.json", "canary.json", "optimizer", "adapter"}
    assert "| 0 |  | 47.6 % |" in card and "| 1 | 50.0 % |  |" in card
    assert json.loads((tmp_path / "out" / "config.json").read_bytes())
