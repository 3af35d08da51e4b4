"""An update keeps no steps of a trajectory until all groups are known, and makes the samples that it would make of whole ones."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from test_gap_in_update import request_of

from agent.types import Trajectory
from storage.store import CorruptTrajectory, TrajectoryStore
from training.learning import update_inputs
from training.learning.update_inputs import Request, read_batch
from training.sampling.filters import Selection, select
from training.sampling.samples import digest
from training.sampling.twice_read import TwiceRead

__all__ = ["request_of"]  # a fixture


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Trajectory]:
    """The trajectories that updates hold when their groups are known."""
    found: list[Trajectory] = []

    def seen(*arguments: Any, **named: Any) -> Selection:
        selection = select(*arguments, **named)
        found.extend(member.trajectory for member in selection.members)
        return selection

    monkeypatch.setattr(update_inputs, "select", seen)
    return found


def configure(request: Request, **settings: object) -> None:
    config = json.loads(request.config.read_text())
    request.config.write_text(json.dumps(config | settings))


def test_steps_are_read_again_for_their_samples(
    request_of: Request, kept: list[Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = read_batch(request_of).samples
    assert kept and not any(one.steps for one in kept)
    whole: Callable[[TwiceRead, Trajectory], Trajectory] = lambda self, trajectory: trajectory  # noqa: E731
    monkeypatch.setattr(TwiceRead, "lean", whole)
    assert samples and digest(samples) == digest(read_batch(request_of).samples)


def test_step_credit_compares_the_pages_of_all_steps(request_of: Request, kept: list[Trajectory]) -> None:
    configure(request_of, step_weight=1.0, step_anchor="screenshot")
    assert read_batch(request_of).samples and all(one.steps for one in kept)


def test_a_trajectory_that_is_deleted_meanwhile_is_one_sentence(
    request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def selected(*arguments: Any, **named: Any) -> Selection:
        selection = select(*arguments, **named)
        shutil.rmtree(TrajectoryStore(request_of.trajectories).root / selection.members[0].trajectory.id)
        return selection

    monkeypatch.setattr(update_inputs, "select", selected)
    with pytest.raises(CorruptTrajectory, match=r"trajectory t\d+ was deleted while the update read it"):
        read_batch(request_of)
