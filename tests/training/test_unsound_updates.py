"""Nothing broken is trained on or kept: parents, results, samples, and versions that were there before."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from stored_rollouts import Rollout, picture, put_nan, sign_again
from test_update import CONFIG, arguments

from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import (
    checkpoint_path,
    import_policy,
    read_checkpoint,
    versions,
    write_checkpoint,
)
from training.checkpointing.soundness import why_unsound
from training.errors import CheckpointError
from training.learning.made_before import made_before
from training.learning.models import LoadedPolicy, collate
from training.learning.report import UpdateReport, read_report
from training.learning.update import main
from training.learning.update_inputs import Request, read_batch
from training.sampling.picture_checks import FeatureCounter, Picture
from training.sampling.samples import Sample, digest


def request_in(folder: Path) -> Request:
    return Request(
        trajectories=folder / "rollout",
        verdicts=folder / "verdicts.jsonl",
        policy=folder / "policies" / "v0000",
        policies=folder / "policies",
        version=1,
        config=folder / "config.json",
        report=folder / "report.json",
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, filled: Rollout, model_directory: Path) -> Path:
    """The folder of an update that was made: version 1 of the random policy."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(filled.store.root, folder / "rollout")
    shutil.copy(filled.verdicts_path, folder / "verdicts.jsonl")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    import_policy(model_directory, folder / "policies")
    assert main(arguments(request_in(folder))) == 0
    return folder


@pytest.fixture
def request_of(tmp_path: Path, trained: Path) -> Request:
    """The same update again, in a copy of its folder."""
    shutil.copytree(trained, tmp_path / "again")
    request = request_in(tmp_path / "again")
    request.report.unlink()
    return request


def made(request: Request) -> UpdateReport | None:
    batch = read_batch(request)
    return made_before(
        request.policies,
        request.version,
        parent=batch.parent.version,
        samples=digest(batch.samples),
        recipe=batch.recipe,
    )


def nan_weights(version: Path) -> None:
    put_nan(version / "model.safetensors")
    sign_again(version)


def nan_moments(version: Path) -> None:
    put_nan(version / "optimizer" / "adam.safetensors", "lm_head.weight/exp_avg")
    sign_again(version)


def null_canary(version: Path) -> None:
    """As a policy that diverged was written: pydantic writes NaN as null."""
    canary = json.loads((version / "canary.json").read_bytes())
    canary["completions"][0]["logprobs"] = [None] * len(canary["completions"][0]["logprobs"])
    (version / "canary.json").write_text(json.dumps(canary))
    sign_again(version)


def no_canary(version: Path) -> None:
    (version / "canary.json").unlink()
    sign_again(version)


def no_report(version: Path) -> None:
    (version / "update.json").unlink()
    sign_again(version)


def cut_report(version: Path) -> None:
    (version / "update.json").write_text('{"version": 1, "par')
    sign_again(version)


def torn_weights(version: Path) -> None:
    weights = (version / "model.safetensors").read_bytes()
    (version / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    sign_again(version)


def damaged_weights(version: Path) -> None:
    (version / "model.safetensors").write_bytes(b"0" * (version / "model.safetensors").stat().st_size)


def no_manifest(version: Path) -> None:
    (version / "manifest.json").unlink()


def foreign_file(version: Path) -> None:
    (version / "tokenizer_config.json.new").write_text("{}")


UNSOUND = [
    nan_weights,
    nan_moments,
    null_canary,
    no_canary,
    no_report,
    cut_report,
    torn_weights,
    damaged_weights,
    no_manifest,
    foreign_file,
]


@pytest.mark.parametrize("spoil", UNSOUND)
def test_a_version_that_is_not_sound_is_set_aside(request_of: Request, spoil: Callable[[Path], None]) -> None:
    spoil(request_of.policies / "v0001")
    assert made(request_of) is None
    assert versions(request_of.policies) == [0]
    assert (request_of.policies / "v0001.unsound").is_dir()


def test_it_is_made_again_by_a_repeated_update(request_of: Request) -> None:
    nan_weights(request_of.policies / "v0001")
    assert main(arguments(request_of)) == 0
    assert why_unsound(request_of.policies / "v0001") is None
    assert not read_report(request_of.report).reused
    assert main(arguments(request_of)) == 0
    assert read_report(request_of.report).reused


def test_a_version_that_others_came_after_is_never_moved(request_of: Request) -> None:
    nan_weights(request_of.policies / "v0001")
    with write_checkpoint(request_of.policies, 2, parent=1, step=1) as folder:
        (folder / "model.safetensors").write_text("weights")
    with pytest.raises(
        CheckpointError, match=r"v0001 is not sound: lm_head\.weight in model\.safetensors is not finite"
    ):
        made(request_of)
    assert versions(request_of.policies) == [0, 1, 2]


@pytest.mark.parametrize(
    "changes",
    [{}, {"micro_batch_size": 3}, {"keep_last": 7}, {"canaries": 5}, {"gradient_checkpointing": True}],
)
def test_the_same_update_is_not_made_twice(request_of: Request, changes: dict[str, Any]) -> None:
    request_of.config.write_text(json.dumps(CONFIG | changes))
    report = made(request_of)
    assert report is not None and report.reused


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learning_rate": 2e-3}, "update.learning_rate is 0.001 there and 0.002 here"),
        ({"loss_type": "cispo"}, "update.loss_type is 'dapo' there and 'cispo' here"),
        (
            {"minibatches": 1, "epochs": 2},
            "update.minibatches is 2 there and 1 here, update.epochs is 1 there and 2 here",
        ),
        ({"seed": 1}, "update.seed is 0 there and 1 here"),
        (
            {"advantage_scale": "none"},
            "from version 0 and other samples, and with another recipe: update.advantage_scale",
        ),
    ],
)
def test_an_update_with_another_configuration_is_another_one(
    request_of: Request, changes: dict[str, Any], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    request_of.config.write_text(json.dumps(CONFIG | changes))
    assert main(arguments(request_of)) == 2
    assert "v0001 exists already and was made" in caplog.text and sentence in caplog.text
    assert versions(request_of.policies) == [0, 1] and not request_of.report.exists()


def test_an_update_of_another_parent_is_another_one(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = request_of.policy / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    sign_again(request_of.policy)
    assert main(arguments(request_of)) == 2
    assert "with another recipe: its parent had other files" in caplog.text


def test_a_version_without_a_recipe_is_recognised_by_its_samples(request_of: Request) -> None:
    manifest = json.loads((request_of.policies / "v0001" / "manifest.json").read_bytes())
    del manifest["recipe"]
    (request_of.policies / "v0001" / "manifest.json").write_text(json.dumps(manifest))
    request_of.config.write_text(json.dumps(CONFIG | {"learning_rate": 2e-3}))
    report = made(request_of)
    assert report is not None and report.reused


def test_a_key_that_is_newer_than_a_version_counts_with_its_default(request_of: Request) -> None:
    manifest = json.loads((request_of.policies / "v0001" / "manifest.json").read_bytes())
    del manifest["recipe"]["config"]["epochs"]
    manifest["recipe"]["config"]["forgotten"] = 1
    (request_of.policies / "v0001" / "manifest.json").write_text(json.dumps(manifest))
    assert made(request_of) is not None


@pytest.mark.parametrize("rate", [1e30, 1e36])
def test_an_update_that_diverges_writes_nothing(
    request_of: Request, rate: float, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(request_of.policies / "v0001")
    request_of.config.write_text(json.dumps(CONFIG | {"learning_rate": rate, "minibatches": 1 + (rate < 1e36)}))
    assert main(arguments(request_of)) == 2
    assert "finite" in caplog.messages[-1] and "\n" not in caplog.messages[-1]
    assert [path.name for path in request_of.policies.iterdir()] == ["v0000"]
    assert not request_of.report.exists()


def test_moments_of_the_parent_matter_only_where_they_are_used(
    request_of: Request, caplog: pytest.LogCaptureFixture
) -> None:
    nan_moments(request_of.policies / "v0001")
    request = request_of._replace(policy=request_of.policies / "v0001", version=2)
    assert main(arguments(request)) == 2
    assert "v0001 can't be trained: lm_head.weight/exp_avg in optimizer/adam.safetensors is not finite" in caplog.text
    assert versions(request.policies) == [0, 1]


def test_room_is_looked_for_before_anything_is_trained(
    request_of: Request, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(request_of.policies / "v0001")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=10**9, used=10**9, free=10**6))
    assert main(arguments(request_of)) == 2
    assert "the new version needs 0.07 GB in" in caplog.text and "where 0.00 GB are free" in caplog.text
    assert versions(request_of.policies) == [0]


def change_step(trajectories: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the completion of the first step of a stored trajectory."""
    path = trajectories / name / "trajectory.json"
    stored = json.loads(path.read_bytes())
    change(stored["steps"][0]["completion"])
    path.write_text(json.dumps(stored))


def one_placeholder_more(trajectories: Path) -> None:
    def change(completion: dict[str, Any]) -> None:
        prompt = completion["prompt_token_ids"]
        prompt.insert(3, prompt[3])  # as `<|image_pad|>` in the text of a page did

    change_step(trajectories, "t00", change)


def picture_that_is_none(trajectories: Path) -> None:
    data = b"\x89PNG\r\n\x1a\nnothing"
    TrajectoryStore(trajectories).write_image(hashlib.sha256(data).hexdigest(), data)
    change_step(trajectories, "t00", lambda step: step.update(images=[hashlib.sha256(data).hexdigest()]))


def half_a_picture(trajectories: Path) -> None:
    data = picture(7, 640, 480)[:-40]
    TrajectoryStore(trajectories).write_image(hashlib.sha256(data).hexdigest(), data)
    change_step(trajectories, "t00", lambda step: step.update(images=[hashlib.sha256(data).hexdigest()]))


def lost_picture(trajectories: Path) -> None:
    change_step(trajectories, "t00", lambda step: step.update(images=["ab" * 32]))


def damaged_picture(trajectories: Path) -> None:
    completion = TrajectoryStore(trajectories).read("t00").steps[0].completion
    assert completion is not None
    TrajectoryStore(trajectories).image_path(completion.images[0]).write_bytes(picture(99))


def foreign_token(trajectories: Path) -> None:
    change_step(trajectories, "t00", lambda step: step["token_ids"].__setitem__(0, 10**6))


@pytest.mark.parametrize(
    ("spoil", "reason", "sentence"),
    [
        (picture_that_is_none, "picture", ".png can't be decoded (cannot identify image file"),
        (half_a_picture, "picture", ".png can't be decoded (image file is truncated"),
        (lost_picture, "picture", ".png does not exist, though its prompt shows it"),
        (damaged_picture, "picture", "is damaged: its content does not match its name"),
        (foreign_token, "token_ids", "to 1000000 in a vocabulary of"),
    ],
)
def test_one_bad_step_is_left_out_and_named(
    request_of: Request, spoil: Callable[[Path], None], reason: str, sentence: str
) -> None:
    spoil(request_of.trajectories)
    batch = read_batch(request_of)
    (bad,) = batch.bad
    assert (bad.trajectory_id, bad.step, bad.fault.reason) == ("t00", 0, reason)
    assert sentence in str(bad)
    assert len(batch.samples) == 15


def test_one_prompt_with_a_placeholder_too_many_does_not_stop_an_update(
    request_of: Request, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(request_of.policies / "v0001")
    one_placeholder_more(request_of.trajectories)
    assert main(arguments(request_of)) == 0, caplog.text
    report = read_report(request_of.report)
    assert report.masked_steps == {"bad_placeholders": 1}
    assert report.counts["bad_samples"] == 1 and report.counts["samples"] == 15
    named = "trajectory t00, step 0: its pictures make 6 features here, but its prompt has 7 placeholders"
    assert len(report.bad_samples) == 1 and report.bad_samples[0].startswith(named)
    assert named in caplog.text
    assert read_checkpoint(checkpoint_path(request_of.policies, 1)).samples
    assert main(arguments(request_of)) == 0, "the same samples are left out again, so it is the same update"
    assert read_report(request_of.report).masked_steps == report.masked_steps


def test_pictures_that_never_fit_stop_the_update(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    """A server with other preprocessor settings than the trainer."""
    shutil.rmtree(request_of.policies / "v0001")
    settings = request_of.policy / "preprocessor_config.json"
    if not settings.exists():
        settings = request_of.policy / "processor_config.json"
    settings.write_text(settings.read_text().replace('"merge_size": 2', '"merge_size": 1'))
    sign_again(request_of.policy)
    assert main(arguments(request_of)) == 2
    assert "of 16 samples, of 4 trajectories, can't be trained on" in caplog.messages[-1]
    assert "serve and train with the same preprocessor settings" in caplog.messages[-1]
    assert versions(request_of.policies) == [0]


@pytest.mark.parametrize("size", [(64, 96), (160, 210), (33, 31), (1280, 720), (3_000, 2_000), (5, 400)])
def test_features_are_counted_as_the_trainer_makes_them(
    policy: LoadedPolicy, make_samples: Callable[..., list[Sample]], tmp_path: Path, size: tuple[int, int]
) -> None:
    """Counting by size alone and preprocessing the pixels agree, by the trainer's own check."""
    from dataclasses import replace

    import numpy as np

    assert policy.image_token_id is not None
    counter = FeatureCounter(policy.processor.image_processor, policy.image_token_id, {"a": Picture(*size)})
    (sample,) = [one for one in make_samples() if one.images][:1]
    words = sample.prompt_token_ids[sample.prompt_token_ids != policy.image_token_id]
    Image.new("RGB", size).save(tmp_path / "a.png")
    for count in range(1, 20_000):
        prompt = np.concatenate([np.full(count, policy.image_token_id), words])
        candidate = replace(sample, images=("a",), prompt_token_ids=prompt)
        if counter.fault_of(candidate) is None:
            collate(policy, [candidate], lambda _: (tmp_path / "a.png").read_bytes())
            return
    pytest.fail("no number of placeholders fits")
