"""`rl-loop run --dry-run`: the size of a run before anything is started: stages, episodes, processes, memory, disk, time.

Sizes follow from the configuration and the policy's files. Minutes are the pace of an earlier run in the same folder of
runs; without one they are unknown, because they depend on the machine and the sites.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from rollouts.plan import usual_count
from storage.errors import LoopError
from storage.names import run_names
from storage.stages import Stage
from training.checkpointing.disk_space import needed_bytes
from training.checkpointing.tensor_files import entries

SESSION_MB = 36
"""Memory of a browser session (docs/benchmarks.md, pool)."""
STEP_MB = 0.21
"""Disk of a step at 1280x720 (docs/benchmarks.md, rollout_scale); smaller pages need less."""
UPDATE_BYTES = 16
"""Memory of a parameter in an update: weight, gradient and Adam's two moments in float32. Activations come on top."""
SERVED_BYTES = {"float32": 4, "bfloat16": 2, "auto": 2}


class Pace(NamedTuple):
    """Measured means of an earlier run, in seconds."""

    run: str
    episode: float
    """One episode of a rollout; several are played at the same time."""
    judged: float
    update: float
    """One update with its publish."""
    evaluated: float | None
    """One episode of an evaluation; None if the run has none."""


class Forecast(NamedTuple):
    """The size of a run."""

    stages: dict[Stage, int]
    train_episodes: int
    """Episodes of one iteration."""
    heldout_episodes: int
    """Episodes of one evaluation."""
    parameters: int | None
    """Of the policy; None, as the next one, while `policy.model` has no weights."""
    checkpoint_bytes: int | None
    pace: Pace | None
    seconds: float | None


def forecast(config: LoopConfig) -> Forecast:
    """The size of a new run by this configuration. Raises `LoopError` if the policy's files are damaged."""
    folder = RunFolder(config.runs_dir / config.name, config)
    stages = Counter(key.stage for key in folder.schedule())
    train = usual_count(folder.inputs.settings, Stage.ROLLOUT) * config.rollout.group_size
    heldout = usual_count(folder.inputs.settings, Stage.EVALUATE) * config.evaluate.samples
    files = sorted(config.policy.model.glob("*.safetensors"))
    pace = pace_of(config)
    return Forecast(
        stages=dict(stages),
        train_episodes=train,
        heldout_episodes=heldout,
        parameters=sum(entry.values for path in files for entry in entries(path)) if files else None,
        checkpoint_bytes=needed_bytes(config.policy.model, config.update) if files else None,
        pace=pace,
        seconds=_seconds(pace, stages, train, heldout) if pace else None,
    )


def pace_of(config: LoopConfig) -> Pace | None:
    """The pace of the newest run in the folder of runs that has a finished training iteration."""
    for name in run_names(config.runs_dir):
        try:
            reports = RunFolder.open(config.runs_dir / name).reports()
        except LoopError:  # a damaged run has no pace; `doctor` says what is wrong with it
            continue
        of = {stage: [report for report in reports if report.stage is stage] for stage in Stage}
        played = sum(report.metrics.get("episodes", 0) for report in of[Stage.JUDGE])
        if not (played and of[Stage.POLICY_UPDATE]):
            continue
        measured = sum(report.metrics.get("episodes", 0) for report in of[Stage.EVALUATE])
        return Pace(
            run=name,
            episode=sum(report.seconds for report in of[Stage.ROLLOUT]) / played,
            judged=sum(report.seconds for report in of[Stage.JUDGE]) / played,
            update=sum(report.seconds for report in of[Stage.POLICY_UPDATE]) / len(of[Stage.POLICY_UPDATE]),
            evaluated=sum(report.seconds for report in of[Stage.EVALUATE]) / measured if measured else None,
        )
    return None


def lines(config: LoopConfig, found: Forecast) -> Iterator[str]:
    """The forecast as lines of text."""
    iterations, evaluations = config.iterations, found.stages[Stage.EVALUATE]
    train, heldout = iterations * found.train_episodes, evaluations * found.heldout_episodes
    yield "stages: " + ", ".join(f"{count} x {stage.replace('_', ' ')}" for stage, count in found.stages.items())
    yield (
        f"episodes: {train + heldout:,}, of which {train:,} to train ({found.train_episodes} in each of {iterations} "
        f"iterations) and {heldout:,} held out ({found.heldout_episodes} in each of {evaluations} evaluations)"
    )
    slots, models = config.services.browser_slots, len(config.services.model_places)
    served = "vLLM" if models == 1 else f"{models} vLLM servers"
    yield (
        f"processes: Prefect server and worker, MLflow, {served}, browser service with {slots} sessions; "
        f"{config.rollout.shards} shards play {config.rollout.concurrency} episodes at once"
    )
    browsers = f"{_size(slots * SESSION_MB * 1_000_000)} for the browsers"
    if found.parameters is None or found.checkpoint_bytes is None:
        yield f"memory: {browsers}; the policy's is unknown, because {config.policy.model} has no weights"
    else:
        weights = found.parameters * SERVED_BYTES[config.serving.dtype]
        processes = config.update.machines * config.update.processes
        states = found.parameters * UPDATE_BYTES / (1 if config.update.sharding == "none" else processes)
        each = "the update" if processes == 1 else f"each of {processes} processes of the update"
        yield (
            f"memory: {_size(states)} for {each} ({found.parameters / 1e6:.1f} million "
            f"parameters, without activations), {_size(weights)} for the served weights, {browsers}"
        )
        kept = config.update.keep_last
        yield f"disk: {_size(found.checkpoint_bytes)} for each of {kept} kept policies, at most {STEP_MB} MB for each step"
    if found.pace is None or found.seconds is None:
        yield f"time: unknown; no run in {config.runs_dir} has a finished iteration whose pace could be taken"
    else:
        yield f"time: about {found.seconds / 60:.0f} minutes at the pace of run {found.pace.run}, if that was alike"


def _seconds(pace: Pace, stages: Counter[Stage], train: int, heldout: int) -> float:
    training = stages[Stage.ROLLOUT] * (train * (pace.episode + pace.judged) + pace.update)
    each = pace.episode if pace.evaluated is None else pace.evaluated
    return training + stages[Stage.EVALUATE] * heldout * each


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1_000_000_000 else f"{count / 1e6:.0f} MB"
