"""The rollout stage: plays the episodes in shards of slots, a further round after each lost service.

    stage ── round 1 ── shard 0, shard 1, ..   each plays the episodes that the store lacks (`shard_worker.py`)
          └─ a service was lost: heal it, prove the policy again ── round 2 ── ..

A finished trajectory is never played again: the store is asked first; only a stage without enough evidence deletes its
broken ones (`evidence.py`). Groups that are unfinished when enough are complete are carried over or killed
(`stragglers.py`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from agent.episode_facts import EpisodeFacts, facts_of
from agent.failures import CONFIGURATION
from agent.metrics import policy_age
from flows.policy.publishing import ensure_browsers, ensure_served, policy_version
from flows.policy.waiting import StageError
from flows.settings.run_folder import RunFolder
from flows.stages.overlap import judging_meanwhile
from flows.stages.stage_inputs import stage_inputs
from rollouts.evidence import forget_broken, lack_of_evidence, pause_before
from rollouts.inputs import StageInputs
from rollouts.measures.intervals import early_s
from rollouts.measures.stage_costs import wasted, written
from rollouts.measures.usage import read_usage
from rollouts.plan import Why, assigned, planned_groups
from rollouts.shard_workers import ShardWorkers
from rollouts.stage_files import StageFiles
from rollouts.stragglers import carries, carry_over, stage_pace, threshold_of, unfinished_shards
from storage.stages import Stage, StageKey, StageReport
from storage.store import TrajectoryStore

logger = logging.getLogger(__name__)


class ShardKey(NamedTuple):
    """One shard of one stage in one round. Example: `ShardKey(3, Stage.ROLLOUT, shard=1, round=1)`."""

    iteration: int
    stage: Stage
    shard: int
    round: int


class Collected(NamedTuple):
    """The result of `collect`."""

    rounds: int
    episodes: list[EpisodeFacts]
    """The facts of all trajectories of the stage, in the order of their ids."""


PlayShards = Callable[[ShardWorkers, StageInputs, list[ShardKey]], Awaitable[list[str | None]]]
"""Plays all shards of one round concurrently; returns the lost service of each, None for a complete shard."""


async def gather_shards(workers: ShardWorkers, inputs: StageInputs, keys: list[ShardKey]) -> list[str | None]:
    """Plays all shards in this process, without Prefect."""
    return await asyncio.gather(*(play_shard(workers, inputs, key) for key in keys))


async def rollout_stage(
    folder: RunFolder, iteration: int, workers: ShardWorkers, play_shards: PlayShards = gather_shards
) -> StageReport:
    """Collect the training trajectories of an iteration with the policy of the iteration before."""
    began = time.monotonic()
    version = policy_version(folder, iteration - 1)
    try:
        async with judging_meanwhile(folder, iteration, Stage.ROLLOUT):
            played = await collect(folder, iteration, Stage.ROLLOUT, workers, version=version, play_shards=play_shards)
        await workers.end_early()  # a shard that had nothing left to play in this stage could still extend the plan
        carried = await carry_over(folder.inputs, iteration, workers.carry) if carries(folder.inputs, iteration) else []
        if iteration < folder.config.iterations:
            await workers.begin_early(iteration + 1)
    except BaseException:
        await workers.close_all()
        raise
    await workers.close_idle()
    directory = folder.stage_dir(iteration, Stage.ROLLOUT)
    episodes = _facts_now(TrajectoryStore(directory), played.episodes)
    steps = sum(one.steps for one in episodes)
    seconds = time.monotonic() - began
    early = early_s(directory, time.time() - seconds)
    return folder.finish(
        StageReport(
            stage=Stage.ROLLOUT,
            iteration=iteration,
            counts={
                "trajectories": len(episodes),
                "failed": sum(one.failed_on is not None for one in episodes),
                "rounds": played.rounds,
                "carried_in": sum(
                    group.iteration is not None for group in planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
                ),
                "carried_out": len(carried),
            },
            metrics={"steps_per_s": steps / seconds}
            | ({"early_s": early} if early else {})
            | wasted(directory, episodes)
            | written(directory, steps=steps)
            | policy_age(episodes, version)
            | read_usage(directory).metrics(),
            seconds=seconds,
        )
    )


def _facts_now(store: TrajectoryStore, known: list[EpisodeFacts]) -> list[EpisodeFacts]:
    """The facts of the stored trajectories; reads only those that ended after `known` was collected.

    Carry-over has moved some away since, and an episode may have ended meanwhile and completed its group.
    """
    by_id = {one.id: one for one in known}
    return [by_id[name] if name in by_id else facts_of(store.read(name)) for name in store.ids()]


async def collect(
    folder: RunFolder,
    iteration: int,
    stage: Stage,
    workers: ShardWorkers,
    *,
    version: int,
    play_shards: PlayShards = gather_shards,
) -> Collected:
    """Play missing episodes until enough groups are complete, and enough of them valid.

    A stage without enough evidence, as in an outage, is waited out: its broken episodes are deleted and played again.
    Raises `StageError` when services are lost `rollout.max_rounds` times, or stay down; when the outage lasts longer
    than `rollout.outage_s`; and at once when the configuration is at fault. In the last two cases the
    broken episodes are deleted first.
    """
    clock = asyncio.get_running_loop().time
    began: float | None = None
    rounds = repeats = 0
    while True:
        rounds += await _play_missing(folder, StageKey(iteration, stage), workers, version, play_shards, played=rounds)
        episodes = [facts_of(trajectory) for trajectory in TrajectoryStore(folder.stage_dir(iteration, stage))]
        lack = lack_of_evidence(folder.inputs, StageKey(iteration, stage), episodes)
        if lack is None:
            return Collected(rounds, episodes)
        forget_broken(folder.inputs, iteration, stage)
        began, repeats = began or clock(), repeats + 1
        pause_s = pause_before(repeats)
        if lack.configuration:
            raise StageError(f"{lack.sentence}; that is the configuration's fault and playing again does not help")
        if clock() + pause_s - began > folder.config.rollout.outage_s:
            raise StageError(
                f"{lack.sentence}; it was played {repeats} times (rollout.outage_s), and a resume plays what broke again"
            )
        logger.warning("%s; what broke is played again in %.0f s", lack.sentence, pause_s)
        await asyncio.sleep(pause_s)


async def _play_missing(
    folder: RunFolder, key: StageKey, workers: ShardWorkers, version: int, play_shards: PlayShards, *, played: int
) -> int:
    """Play until enough groups are complete, after `played` earlier rounds. Returns the number of further rounds."""
    config, (iteration, stage) = folder.config.rollout, key
    lost: list[str] = []
    for rounds in range(config.max_rounds + 1):
        # A group belongs to one shard for good, so only shards with a missing episode have work.
        shards = _unfinished(folder, iteration, stage)
        if not shards:
            return rounds
        if rounds == config.max_rounds:
            break
        browsers = await ensure_browsers(folder)
        served = await ensure_served(folder, version, workers)
        inputs = stage_inputs(folder, stage, served, browsers)
        keys = [ShardKey(iteration, stage, shard, played + rounds + 1) for shard in shards]
        lost = [problem for problem in await play_shards(workers, inputs, keys) if problem]
        misconfigured = next((problem for problem in lost if problem.partition(":")[0] in CONFIGURATION), None)
        if misconfigured:
            forget_broken(folder.inputs, iteration, stage)
            raise StageError(f"{key}: no episode can be played with this configuration: {misconfigured}")
        if lost:
            logger.warning("%s of iteration %d lost a service: %s", stage, iteration, lost[0])
    last = lost[0] if lost else "no service, but episodes are missing all the same"
    raise StageError(
        f"{stage} of iteration {iteration} lost services {config.max_rounds} times (rollout.max_rounds), last: {last}"
    )


def _unfinished(folder: RunFolder, iteration: int, stage: Stage) -> list[int]:
    """The shards with unfinished groups. Raises `StageError` when the environment cannot give the requested tasks."""
    try:
        return list(unfinished_shards(folder.inputs, iteration, stage))
    except ValueError as error:  # UnknownTask, TaskFileError, or too few tasks
        raise StageError(f"{StageKey(iteration, stage)}: environment: {error}") from error


async def play_shard(workers: ShardWorkers, inputs: StageInputs, key: ShardKey) -> str | None:
    """Play the missing episodes of one shard, as many at once as its share of `rollout.concurrency` allows.

    Returns the lost service, None when the shard is complete.
    """
    run, config = inputs.run, inputs.run.rollout
    files = StageFiles(run.layout, key.iteration, key.stage, shard=key.shard, slots=config.slots_of(key.shard))
    groups = assigned(planned_groups(run, key.iteration, key.stage), config.weights())[key.shard]
    threshold = threshold_of(run, key.iteration, key.stage)
    if key.stage is not Stage.ROLLOUT:
        async with workers.opened(inputs, key.shard) as worker:
            return await worker.play(files, groups, threshold=threshold)
    if config.stragglers == "kill":
        async with workers.opened(inputs, key.shard) as worker:
            return await worker.play(files, groups, threshold=threshold, extends=("replacement",))
    # The last iteration too: it goes on with the episodes that were carried over to it.
    worker = await workers.kept(inputs, key.shard)
    extends: tuple[Why, ...] = ("ahead", "replacement") if carries(run, key.iteration) else ("replacement",)
    pace = stage_pace(run, key.iteration, groups)
    return await worker.play(files, groups, threshold=threshold, extends=extends, pace=pace)
