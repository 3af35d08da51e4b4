"""A picture that was blackened after its page was played, in a whole update.

It is a sound picture of the right size under its own hash, so no check of files or samples can object: only the trainer's
log-probabilities differ from those of the server, which saw the page.
"""

import hashlib
import io
from typing import Any

from light_process import light_process
from PIL import Image
from test_gap_in_update import change, request_of, run

from storage.store import TrajectoryStore
from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import read_checkpoint
from training.learning.report import read_report
from training.learning.scoring.gap import FLOAT32_GAP
from training.learning.update_inputs import Request

__all__ = ["light_process", "request_of"]  # fixtures


def test_a_trajectory_with_black_pictures_is_masked_and_named_and_the_others_teach(request_of: Request) -> None:
    store = TrajectoryStore(request_of.trajectories)
    black: set[str] = set()

    def blacken(name: str, completion: dict[str, Any]) -> dict[str, Any]:
        if name != "t01":
            return completion
        images = [blackened(store, one) for one in completion["images"]]
        black.update(images)
        return completion | {"images": images}

    change(request_of, blacken)
    assert len(black) == 1, "all have one size"
    assert run(request_of) == 0
    report = read_report(request_of.report)
    (named,) = report.bad_samples
    assert named.startswith("t01: differs from what the server stored by ")
    assert float(named.split(" by ")[1].split()[0]) > 2 * FLOAT32_GAP, "the policy hardly looks at its pictures"
    assert report.masked_steps["bad_gap"] == 2 and report.metrics["gap_mean"] < 1e-4
    assert report.steps == 2 and read_checkpoint(request_of.policies / "v0002").parent == 1
    canary = read_canary(request_of.policies / "v0002")
    assert canary is not None and black.isdisjoint(sha256 for one in canary.completions for sha256 in one.images)


def blackened(store: TrajectoryStore, sha256: str) -> str:
    """Stores a black picture of the same size under its own hash, and returns that."""
    with Image.open(io.BytesIO(store.image(sha256))) as seen:
        black = Image.new("RGB", seen.size)
    buffer = io.BytesIO()
    black.save(buffer, "PNG")
    found = hashlib.sha256(buffer.getvalue()).hexdigest()
    store.write_image(found, buffer.getvalue())
    return found
