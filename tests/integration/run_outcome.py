"""Results of a run that faults must not change: with a seeded policy two runs of one configuration have the same.

Compared are the trajectories (ids, what was said and done, and the pictures), the verdicts, the tensors of every version and
all metrics but those of time, of sizes on disk and of tries.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from flows.settings.run_folder import RunFolder
from flows.tracking.tracking import metrics_of
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts
from training.checkpointing.checkpoints import checkpoint_path, versions
from training.checkpointing.weight_digests import read_weights

CHANGEABLE = re.compile(
    r"^time/|_s$|phase_s_mean|_s_mean|per_s$|per_second$|wasted|bytes|/(slots|server)_|/(retried|rounds|early_s)$"
)
"""Names of metrics of time, size and tries."""


class Outcome(NamedTuple):
    """The results of a run."""

    trajectories: dict[str, Any]
    verdicts: dict[str, Any]
    weights: dict[int, Any]
    metrics: dict[str, float]


def outcome(folder: RunFolder) -> Outcome:
    """The results of a finished run."""
    trajectories: dict[str, Any] = {}
    verdicts: dict[str, Any] = {}
    for iteration, stage in folder.schedule():
        directory = folder.stage_dir(iteration, stage)
        if stage in (Stage.ROLLOUT, Stage.EVALUATE):
            trajectories |= {one.id: _played(one) for one in TrajectoryStore(directory)}
        if stage in (Stage.JUDGE, Stage.EVALUATE):
            verdicts |= {one.trajectory_id: (one.reward, one.criteria) for one in read_verdicts(directory)}
    weights = {
        version: sorted(read_weights(checkpoint_path(folder.policies, version)).digests)
        for version in versions(folder.policies)
    }
    metrics = {
        f"{name} at {report.iteration}": value
        for report in folder.reports()
        for name, value in metrics_of(report).items()
        if not CHANGEABLE.search(name)
    }
    return Outcome(trajectories, verdicts, weights, metrics)


def check_same_outcome(calm: Outcome, disturbed: Outcome) -> None:
    """Two runs have the same results; the first difference of each kind is named."""
    for kind in Outcome._fields:
        expected, found = getattr(calm, kind), getattr(disturbed, kind)
        assert expected, f"the undisturbed run has no {kind}"
        assert sorted(expected) == sorted(found), f"other {kind}: {sorted(set(expected) ^ set(found))[:5]}"
        different = [key for key in expected if expected[key] != found[key]]
        first = different[0] if different else None
        assert first is None, f"{len(different)} {kind} differ, first {first}: {expected[first]} and {found[first]}"


def reproducible(config: Path) -> Path:
    """Changes a configuration so that its runs can be compared: what is sampled and shown hangs on nothing but the seed.

    One request at a time, without the prefix cache: sums over batches of other sizes have other last bits. A context of
    its own for each episode: in a used one the mouse is where the episode before left it. Tasks without a field for text,
    where a caret blinks.
    """
    data = yaml.safe_load(config.read_text())
    data["environment"]["domains"] = ["click-test", "click-link", "click-option", "click-tab-2-easy"]
    data["agent"]["seed"] = 1
    data["rollout"]["reuse_contexts"] = False
    data["serving"]["max_num_seqs"] = 1
    data["serving"]["extra_args"] = [*data["serving"].get("extra_args", []), "--no-enable-prefix-caching"]
    data["update"]["keep_warm"] = True
    config.write_text(yaml.safe_dump(data, sort_keys=False))
    return config


def _played(trajectory: Any) -> Any:
    steps = [
        (step.completion.token_ids, step.completion.logprobs, step.completion.images, str(step.action))
        for step in trajectory.steps
    ]
    return trajectory.policy_version, trajectory.stop, trajectory.failure, steps
