"""The input of an update, read and checked before any heavy import."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from agent.verdict import Verdict
from storage.human_verdicts import HUMAN, HumanVerdictError, latest, read_human
from storage.store import TrajectoryStore
from training.checkpointing.baselines import read_baselines
from training.checkpointing.checkpoints import Checkpoint, read_checkpoint
from training.checkpointing.disk_space import require_space
from training.checkpointing.recipe import Recipe, recipe_of
from training.checkpointing.soundness import why_unsound
from training.config import UpdateConfig
from training.errors import BadInput, CheckpointError
from training.sampling.filters import Selection, select, why_excluded
from training.sampling.picture_checks import Picture, look_at, picture_fault, without_faulty
from training.sampling.pictures import JoinedPictures
from training.sampling.replay import Played, draw_recent
from training.sampling.sample_checks import BadStep, refuse_many
from training.sampling.samples import Sample, Samples, build_samples, read_vocabulary
from training.sampling.twice_read import TwiceRead


class Request(NamedTuple):
    """The arguments of one update."""

    trajectories: Path
    """Stage folder with the trajectories and their pictures."""
    verdicts: Path
    """JSONL, one verdict per line."""
    policy: Path
    """Checkpoint to train."""
    policies: Path
    """Folder that gets the new checkpoint."""
    version: int
    """Version of the new checkpoint."""
    config: Path
    """JSON of an `UpdateConfig`."""
    report: Path
    """Path of the report."""
    replay: Sequence[tuple[Path, Path]] = ()
    """Stage folder and verdicts of each earlier iteration whose successes are trained on again."""


class Batch(NamedTuple):
    """All input of the update, read and checked."""

    config: UpdateConfig
    version: int
    """The version to make."""
    parent: Checkpoint
    store: JoinedPictures
    """The pictures of all trajectories."""
    selection: Selection
    """Without its members: whole trajectories are many times their samples."""
    has_signal: bool
    """False if no trajectory had an advantage."""
    samples: list[Sample]
    masked_steps: dict[str, int]
    bad: list[BadStep]
    """Steps that are left out because of a fault."""
    pictures: dict[str, Picture]
    """Pictures of the prompts, by sha256."""

    @property
    def recipe(self) -> Recipe:
        """Inputs that decide the result besides the samples. Needs at least one sample."""
        return recipe_of(
            self.config, self.version, parent_digest=self.parent.digest, temperature=self.samples[0].temperature
        )

    def without(self, samples: list[Sample], bad: list[BadStep]) -> "Batch":
        """The batch with the remaining samples after more were found bad. Raises SampleError for too many bad ones."""
        found = self.bad + bad
        refuse_many(found, len(samples), at_most=self.config.max_bad_fraction)
        return self._replace(samples=samples, bad=found)


def read_batch(request: Request) -> Batch:
    """Reads and checks all input. Raises UpdateError or CorruptTrajectory, each with one sentence."""
    config = _read_config(request.config)
    parent = read_checkpoint(request.policy)
    if request.version <= parent.version:
        raise BadInput(f"version {request.version} can't be made from version {parent.version}; versions count upwards")
    if request.report.is_dir() or (request.policies.exists() and not request.policies.is_dir()):
        raise BadInput(f"expected a file at {request.report} and a folder at {request.policies}, found the contrary")
    store = _stage_folder(request.trajectories)
    replay = [(_stage_folder(folder), verdicts) for folder, verdicts in request.replay]
    stored = TwiceRead(keeps_steps=config.step_weight > 0)
    selection = select(
        stored.first(store),
        read_verdicts(request.verdicts),
        config,
        earlier=_successes(stored, replay, config) if config.replay_iterations else (),
        baselines=read_baselines(parent.path) if config.credit == "ema" else {},
        lean=stored.lean,
    )
    samples, masked, bad = _samples(stored, selection, parent, config, version=request.version)
    everywhere = JoinedPictures([store, *(one for one, _ in replay)])
    pictures = look_at(everywhere, samples)
    has_signal, selection = bool(selection.members), selection._replace(members=[])
    batch = Batch(config, request.version, parent, everywhere, selection, has_signal, samples, masked, bad, pictures)
    return batch.without(*without_faulty(samples, lambda sample: picture_fault(sample, pictures)))


def check_for_training(request: Request, batch: Batch) -> None:
    """Checks needed only for training: a parent without NaN, and disk space for the new version. Raises UpdateError."""
    if why := why_unsound(batch.parent.path, optimizer=batch.config.carry_optimizer):
        raise CheckpointError(f"{batch.parent.path} can't be trained: {why}; start from another version")
    require_space(batch.parent.path, request.policies, batch.config)


def _stage_folder(path: Path) -> TrajectoryStore:
    if not path.is_dir():
        raise BadInput(f"{path} does not exist; expected the stage folder of a rollout")
    return TrajectoryStore(path)


def _successes(
    stored: TwiceRead, stages: Sequence[tuple[TrajectoryStore, Path]], config: UpdateConfig
) -> Iterator[Played]:
    """The verified successes of earlier iterations."""
    for store, path in stages:
        verdicts = read_verdicts(path)
        for trajectory in stored.first(store):
            verdict = verdicts.get(trajectory.id)
            if verdict is None or verdict.reward is None or why_excluded(trajectory, verdict):
                continue
            if verdict.reward >= config.success_reward:
                yield Played(stored.lean(trajectory), verdict.reward)


def _samples(
    stored: TwiceRead, selection: Selection, parent: Checkpoint, config: UpdateConfig, *, version: int
) -> Samples:
    built = build_samples(
        selection.members,
        vocabulary=read_vocabulary(parent.path),
        policy_version=parent.version,
        max_staleness=config.max_staleness,
        config=config,
        read=stored.again,
    )
    drawn = draw_recent(
        built.samples, count=config.replay_samples, recency=config.replay_recency, seed=config.seed + version
    )
    if left := len(built.samples) - len(drawn):
        return built._replace(samples=drawn, masked_steps=built.masked_steps | {"not_drawn": left})
    return built


def _read_config(path: Path) -> UpdateConfig:
    try:
        config = UpdateConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; expected the update's configuration as JSON") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        sentence = " ".join(first["msg"].removeprefix("Value error, ").split())
        raise BadInput(f"{path}: {key}: {sentence}") from error
    if why := config.why_refused():
        raise BadInput(why)
    return config


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """The verdicts of a file by trajectory. Raises BadInput for a line that is none, and for a second one of a trajectory."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; judge the trajectories first") from None
    verdicts: dict[str, Verdict] = {}
    for number, line in enumerate(lines, start=1):
        try:
            verdict = Verdict.model_validate_json(line)
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {error.errors()[0]['msg']}; judge again") from error
        if verdict.trajectory_id in verdicts:
            raise BadInput(f"{path}, line {number}: a second verdict for {verdict.trajectory_id}; judge again")
        verdicts[verdict.trajectory_id] = verdict
    return verdicts | _people(path, verdicts)


def _people(path: Path, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    """People's verdicts on these trajectories: a person may have decided after the stage was judged.

    They are beside the stage's first set; another set has a folder `sets/NAME` there.
    """
    stage = path.parents[2] if path.parent.parent.name == "sets" else path.parent
    try:
        people = latest(read_human(stage / HUMAN))
    except HumanVerdictError as error:
        raise BadInput(str(error)) from error
    # The rewards of the control experiment are permuted on purpose.
    return {name: people[name] for name, verdict in verdicts.items() if name in people and verdict.judge != "shuffled"}
