"""Playing the episodes of a stage: shards of slots, a round after each lost service, what broke written down.

    stage ── round 1 ── shard 0, shard 1, ..   each plays what is missing in the store
          └─ a service was lost: heal, prove the policy again ── round 2 ── ..

A finished trajectory is never played again: the store is asked first. An episode that breaks is tried again up to
`rollout.max_attempts` times, each failure a line in failures.jsonl; then the failed trajectory itself is stored, and neither
judged nor trained on. Losing vLLM or the browser service uses up no attempt.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import NamedTuple

from agent.config import AgentConfig
from agent.episode import Played, Slot, play
from agent.episode_facts import facts_of
from agent.judging.verifier import Verifier
from agent.metrics import policy_age
from agent.models.config import TrainedPolicy, VendorModel
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from agent.store import TrajectoryStore
from agent.types import Failure, Policy, Trajectory
from browser_service.client import BrowserPool
from environments.base import Environment
from environments.registry import make_environment
from flows.config import LoopConfig
from flows.failures import FAILURES, FailedAttempt, append_line, read_failures
from flows.plan import plan
from flows.progress import Progress, ProgressFile
from flows.publishing import StageError, ensure_browsers, ensure_served, policy_version
from flows.run_folder import RunFolder, Stage, StageReport
from flows.service_specs import socket_path
from flows.stage_costs import wasted, written

logger = logging.getLogger(__name__)

SERVICE_LOST = frozenset({"MODEL_GONE", "MODEL_UNREACHABLE", "POLICY_CHANGED", "UNREACHABLE", "DRAINING"})
"""Failure codes that say that a service is away, not that an episode went wrong."""
RETRY_PAUSE_S = 0.5
"""Seconds before the second attempt of an episode; doubled for each further one."""


class ShardKey(NamedTuple):
    """Which part of which stage. Example: `ShardKey(3, Stage.ROLLOUT, shard=1, round=1)`."""

    iteration: int
    stage: Stage
    shard: int
    round: int


PlayShard = Callable[[RunFolder, ShardKey, Served, str], Awaitable[str | None]]
"""Plays one shard; returns which service was lost, None when the shard is complete."""
PlayShards = Callable[[RunFolder, list[ShardKey], Served, str], Awaitable[list[str | None]]]
"""Plays all shards of one round at the same time."""


async def gather_shards(folder: RunFolder, keys: list[ShardKey], served: Served, browsers: str) -> list[str | None]:
    """All shards in this process, without Prefect."""
    return await asyncio.gather(*(play_shard(folder, key, served, browsers) for key in keys))


async def rollout_stage(folder: RunFolder, iteration: int, play_shards: PlayShards = gather_shards) -> StageReport:
    """Collect the training trajectories of an iteration with the policy of the iteration before."""
    began = time.monotonic()
    version = policy_version(folder, iteration - 1)
    rounds = await collect(folder, iteration, Stage.ROLLOUT, version=version, play_shards=play_shards)
    directory = folder.stage_dir(iteration, Stage.ROLLOUT)
    episodes = [facts_of(trajectory) for trajectory in TrajectoryStore(directory)]
    steps = sum(one.steps for one in episodes)
    seconds = time.monotonic() - began
    return folder.finish(
        StageReport(
            stage=Stage.ROLLOUT,
            iteration=iteration,
            counts={
                "trajectories": len(episodes),
                "failed": sum(one.failed_on is not None for one in episodes),
                "rounds": rounds,
            },
            metrics={"steps_per_s": steps / seconds}
            | wasted(directory, episodes)
            | written(directory, steps=steps)
            | policy_age(episodes, version),
            seconds=seconds,
        )
    )


async def collect(folder: RunFolder, iteration: int, stage: Stage, *, version: int, play_shards: PlayShards) -> int:
    """Play what is missing until every slot of the stage has its trajectory. Returns the number of rounds.

    Raises `StageError` when services are lost `rollout.max_rounds` times, or do not come back.
    """
    config = folder.config.rollout
    store = TrajectoryStore(folder.stage_dir(iteration, stage))
    wanted = [slot.trajectory_id for slot in plan(folder, iteration, stage)]
    lost: list[str] = []
    for rounds in range(config.max_rounds + 1):
        # A slot belongs to the same shard for ever, so only shards with a missing episode have work.
        shards = sorted({place % config.shards for place, name in enumerate(wanted) if not store.has(name)})
        if not shards:
            return rounds
        if rounds == config.max_rounds:
            break
        browsers = await ensure_browsers(folder)
        served = await ensure_served(folder, version)
        keys = [ShardKey(iteration, stage, shard, rounds + 1) for shard in shards]
        lost = [problem for problem in await play_shards(folder, keys, served, browsers) if problem]
        if lost:
            logger.warning("%s of iteration %d lost a service: %s", stage, iteration, lost[0])
    last = lost[0] if lost else "no service, but episodes are missing all the same"
    raise StageError(
        f"{stage} of iteration {iteration} lost services {config.max_rounds} times (rollout.max_rounds), last: {last}"
    )


async def play_shard(folder: RunFolder, key: ShardKey, served: Served, browsers: str) -> str | None:
    """Play the missing episodes of one shard at once, as many as its share of `rollout.concurrency` allows."""
    config = folder.config
    store = TrajectoryStore(folder.stage_dir(key.iteration, key.stage))
    mine = plan(folder, key.iteration, key.stage)[key.shard :: config.rollout.shards]
    missing = [slot for slot in mine if not store.has(slot.trajectory_id)]
    agent = agent_of(config, key.stage)
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(make_environment(config.environment))
        socket = socket_path(config.services.state_dir)
        player = _Player(
            folder=folder,
            key=key,
            agent=agent,
            environment=environment,
            pool=await stack.enter_async_context(BrowserPool(browsers)),
            policy=await stack.enter_async_context(
                # Only environments that make their own tasks know solutions (environments.base.SeededEnvironment).
                open_model(agent, served=served, uds=socket, solve=getattr(environment, "solve", None))
            ),
            served=served,
        )
        player.progress.add(Progress(total=len(mine), done=len(mine) - len(missing)))
        share = -(-config.rollout.concurrency // config.rollout.shards)
        return await player.play_all(missing, at_once=share)


def agent_of(config: LoopConfig, stage: Stage) -> AgentConfig:
    """The agent of a stage: who acts, at which temperature, with how much room for its prompt."""
    agent = config.agent
    if stage is Stage.EVALUATE:
        changes = {"temperature": config.evaluate.temperature, "model": config.evaluate.model or agent.model}
        agent = agent.model_copy(update=changes)
    if isinstance(agent.model, VendorModel):
        agent = agent.model_copy(update={"interaction_mode": "coordinates"})  # they point; numbers would hide the page
    if agent.prompt_tokens is None and isinstance(agent.model, TrainedPolicy):
        room = config.serving.max_model_len - agent.max_tokens
        agent = agent.model_copy(update={"prompt_tokens": room})
    return agent


class _Player:
    """Plays slots and stores what comes out."""

    def __init__(
        self,
        *,
        folder: RunFolder,
        key: ShardKey,
        agent: AgentConfig,
        environment: Environment,
        pool: BrowserPool,
        policy: Policy,
        served: Served,
    ) -> None:
        directory = folder.stage_dir(key.iteration, key.stage)
        self.progress = ProgressFile(directory, key.shard)
        self._store = TrajectoryStore(directory)
        self._failures = directory / FAILURES
        self._max_attempts = folder.config.rollout.max_attempts
        self._reuse = environment.name if folder.config.rollout.reuse_contexts else None
        self._agent, self._environment, self._pool, self._policy = agent, environment, pool, policy
        # Another model's trajectories belong to no version of the policy.
        self._version = served.version if isinstance(agent.model, TrainedPolicy) else None
        self._verifier = Verifier(environment.check)
        self._lost: str | None = None
        self._attempts = Counter(failed.trajectory_id for failed in read_failures(self._failures))

    async def play_all(self, missing: list[Slot], *, at_once: int) -> str | None:
        """Play the slots; returns which service was lost. After a loss no further episode is started."""
        gate = asyncio.Semaphore(at_once)

        async def one(slot: Slot) -> None:
            async with gate:
                if self._lost is None:
                    await self._until_played(slot)

        async with asyncio.TaskGroup() as group:
            for slot in missing:
                group.create_task(one(slot))
        self.progress.save()
        return self._lost

    async def _until_played(self, slot: Slot) -> None:
        """Try an episode until it is whole, until its tries are used up, or until a service is lost."""
        tries = 0
        while True:
            tries += 1
            attempt = self._attempts[slot.trajectory_id] + 1
            played = await play(
                slot._replace(attempt=attempt),
                policy=self._policy,
                pool=self._pool,
                serve=self._environment.serve,
                viewport=self._environment.viewport,
                config=self._agent,
                policy_version=self._version,
                reuse=self._reuse,
                recording=self._store.begin(slot.trajectory_id),
            )
            failure = played.trajectory.failure
            if failure is not None:
                self._note(played.trajectory, failure)
            if failure is not None and failure.code in SERVICE_LOST:
                self._lost = f"{failure.code}: {failure.message}"
                return
            if failure is None or not failure.retryable or tries >= self._max_attempts:
                await self._keep(played)
                return
            await asyncio.sleep(RETRY_PAUSE_S * 2 ** (tries - 1) * random.uniform(0.5, 1.5))

    def _note(self, broken: Trajectory, failure: Failure) -> None:
        """Write down what broke an attempt, whether or not it is tried again."""
        self._attempts[broken.id] += 1
        self.progress.add(Progress(failures=1))
        attempt = FailedAttempt(
            trajectory_id=broken.id,
            attempt=broken.attempt,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            failure=failure,
            steps=len(broken.steps),
            seconds=broken.seconds,
        )
        logger.info("%s attempt %d: %s %s: %s", broken.id, broken.attempt, failure.side, failure.code, failure.message)
        append_line(self._failures, attempt.model_dump_json())

    async def _keep(self, played: Played) -> None:
        """Store a trajectory for good. The verdict here is only for the progress display; the judge stage gives the real one."""
        self._store.write(played.trajectory, played.images)
        reward = (await self._verifier.judge(played.trajectory)).reward
        self.progress.add(
            Progress(done=1, judged=int(reward is not None), successes=int(reward is not None and reward >= 1))
        )
