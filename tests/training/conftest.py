"""A tiny random policy, and rollouts that it could have produced."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from loop_configs import write_config  # noqa: F401 (a fixture)
from stored_rollouts import Rollout

from training.checkpointing.checkpoints import Checkpoint, import_policy
from training.config import UpdateConfig
from training.lean_imports import prepare
from training.learning.models import LoadedPolicy, load_policy, pick_device
from training.sampling.filters import select
from training.sampling.samples import Sample, build_samples, read_vocabulary
from training.tiny_policy import Size, build

TEXTS = ["click the button ok", "Task: click cancel", "[1] button ok [2] link more"] * 4


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory with a random Qwen3-VL of some 100 000 parameters."""
    prepare()
    directory = tmp_path_factory.mktemp("model")
    size = Size(hidden=48, layers=2, heads=2, vision_hidden=32, vision_layers=1, vocabulary=320)
    build(directory, texts=TEXTS, size=size)
    return directory


@pytest.fixture
def policy(model_directory: Path) -> LoadedPolicy:
    """A fresh copy in memory, free to be trained."""
    return load_policy(model_directory, dtype="float32", device=pick_device("cpu"))


@pytest.fixture
def parent(model_directory: Path, tmp_path: Path) -> Checkpoint:
    """The random policy as v0000 of a run."""
    return import_policy(model_directory, tmp_path / "policies")


@pytest.fixture
def rollout(tmp_path: Path, model_directory: Path) -> Rollout:
    """An empty rollout beside the run's policies."""
    return Rollout(tmp_path, model_directory)


@pytest.fixture(scope="session")
def filled(model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    """Two groups of four with signal, pictures in the first one, log-probabilities as the random policy gives them."""
    rollout = Rollout(tmp_path_factory.mktemp("filled"), model_directory)
    for group in range(2):
        for member in range(4):
            name = f"t{group}{member}"
            rollout.add(
                name, group=f"g{group}", member=member, reward=float(member == 0), count=2, with_picture=not group
            )
    rollout.rescore(load_policy(model_directory, dtype="float32", device=pick_device("cpu")))
    return rollout


@pytest.fixture
def make_samples(model_directory: Path, filled: Rollout) -> Callable[..., list[Sample]]:
    """Samples of `filled`, with advantages replaced when asked for."""

    def make(advantage: float | None = None) -> list[Sample]:
        verdicts = {verdict.trajectory_id: verdict for verdict in filled.verdicts}
        members = select(filled.store, verdicts, UpdateConfig()).members
        vocabulary = read_vocabulary(model_directory)
        samples, *_ = build_samples(members, vocabulary=vocabulary, policy_version=0, max_staleness=0)
        return samples if advantage is None else [replace(sample, advantage=advantage) for sample in samples]

    return make
