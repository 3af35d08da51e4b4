"""`AsyncWebGym` with the parameters of the original: plays sampled tasks on the browsers of an OmniBoxes master.

    env = AsyncWebGym(master_port=7000, host_ip="10.0.0.7", cpu_cluster_token=KEY, sampled_tasks=rows, save_path="out",
                      num_workers=64, env_config=config.env_config, split="train")
    trajectories = env.run_automation_with_fairness(AgentConfig(model=ChatModel(model="m", base_url="http://127.0.0.1:8999")))

Played by `ShardWorker`: a broken episode is tried again and never a reward, and a second call with the same `save_path`
plays only what is missing. Files: `<save_path>/<split>_trajectories/<split>_trajectories.iteration1<suffix>.jsonl`, a line
for each trajectory; `<save_path>/episodes<suffix>/` has the episodes with their pictures.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from agent.config import AgentConfig
from agent.episodes.watch import Detect
from agent.model_config import ScriptedSolution
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from agent.types import Policy, Split
from agent.verdict import Judge
from browser_service.models import InteractionMode
from environments.config import EnvironmentConfig, TasksConfig
from environments.providers.live.environment import LiveWeb
from rollouts.async_webgym.leases import LoggedPool
from rollouts.async_webgym.progress import Blocklist, ReportingFiles, Rows, write_rows
from rollouts.async_webgym.settings import LONGEST_STEP_S, LONGEST_WAIT_S, MOST_ATTEMPTS, RetryPolicy, field_of
from rollouts.async_webgym.tasks import sampled
from rollouts.config import EvaluateConfig, RolloutConfig
from rollouts.inputs import RolloutSettings, RunInputs
from rollouts.shard_worker import ShardWorker
from storage.run_layout import RunLayout
from storage.stages import Stage

SPLITS: dict[str, Split] = {"train": "train", "test": "heldout"}
SERVED = Served(model="", tag=None, version=None)
"""The policy is no policy of a loop: it has no version."""
LIFETIME_MINS = 45.0
Progress = Callable[[int, int], None]
Checkpoint = Callable[[int, int, Rows], None]


class MasterLost(RuntimeError):
    """The master can't be reached. Finished episodes are kept; call again to play the others."""


class AsyncWebGym:
    """Plays each sampled task once, `num_workers` at a time."""

    def __init__(
        self,
        master_port: int,
        host_ip: str,
        cpu_cluster_token: str | None,
        sampled_tasks: object,
        save_path: str | Path,
        num_workers: int,
        verbose: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        task_timeout_minutes: float = 20,
        completion_threshold: float = 0.98,
        completion_grace_period: float = 120,
        blocklist_manager: Blocklist | None = None,
        skip_instance_cleanup: bool = False,
        multinode_rank_suffix: str = "",
        split: str = "train",
        env_config: object = None,
        interaction_mode: InteractionMode = "coordinates",
        *,
        judge: Judge | None = None,
        detect: Detect | None = None,
    ) -> None:
        """`sampled_tasks`: rows of WebGym, a table or a list. `verbose` changes nothing: this logs with `logging`.

        `blocklist_manager` gets the sites that refused the visit. `skip_instance_cleanup` leaves the leases of a killed
        process of this rank alone. `judge` and `detect` have no equal in the original: what gives rewards, in place of the
        agent's evaluator, and what tells a page that refuses the visit.
        Raises ValueError for a setting or a row that can't be used.
        """
        if split not in SPLITS:
            raise ValueError(f"split: expected train or test, found {split!r}")
        self.split, self.env_config = split, env_config
        self.retry_policy = RetryPolicy.model_validate(dict(retry_policy or {}))
        scheme = "https" if master_port == 443 else "http"
        self.master_url = f"{scheme}://{host_ip}:{master_port}"
        self.save_path, self.multinode_rank_suffix = Path(save_path), multinode_rank_suffix
        self._api_key, self._sampled_tasks = cpu_cluster_token, sampled_tasks
        self._blocklist, self._cleans_up = blocklist_manager, not skip_instance_cleanup
        self._judge, self._detect, self._mode = judge, detect, interaction_mode
        self._timeout_s = 60.0 * task_timeout_minutes
        self._rollout = RolloutConfig(
            concurrency=num_workers,
            shards=1,
            limits=self.retry_policy.limits,
            stragglers="kill",
            completion_threshold=completion_threshold,
            completion_grace_period=completion_grace_period,
            max_attempts=min(MOST_ATTEMPTS, 1 + self.retry_policy.max_retries),
        )
        if not sampled(sampled_tasks, split=SPLITS[split], env_config=env_config, iteration=1):
            raise ValueError("sampled_tasks: expected at least one task, found none")

    def run_automation_with_fairness(self, agent: Policy | AgentConfig, *args: Any, **kwargs: Any) -> Rows:
        """As `run`, for programs without an event loop."""
        return asyncio.run(self.run(agent, *args, **kwargs))

    async def run(
        self,
        agent: Policy | AgentConfig,
        progress_callback: Progress | None = None,
        checkpoint_callback: Checkpoint | None = None,
        checkpoint_interval: float = 0.25,
        checkpoint_state: MutableMapping[str, Any] | None = None,
        traj_metadata: Mapping[str, Any] | None = None,
    ) -> Rows:
        """Plays the tasks; returns a trajectory in WebGym's fields for each, in the order of the rows.

        `agent`: a policy of this project, or the settings of a model. `progress_callback(finished, all)` is called after
        every episode; `checkpoint_callback(finished, all, trajectories)` each time a further share `checkpoint_interval` is
        finished, but for the last; `checkpoint_state["reached"]` counts these calls over several runs.
        `traj_metadata["iteration"]` numbers the iteration, 1 without it.
        Raises `MasterLost`, TypeError for an agent that is neither, and the errors of a callback or of the judge.
        """
        iteration = int((traj_metadata or {}).get("iteration", 1))
        split = SPLITS[self.split]
        tasks = sampled(self._sampled_tasks, split=split, env_config=self.env_config, iteration=iteration)
        callbacks = _Callbacks(
            len(tasks), progress_callback, checkpoint_callback, checkpoint_interval, checkpoint_state
        )
        layout = RunLayout(self.save_path / f"episodes{self.multinode_rank_suffix}")
        layout.root.mkdir(parents=True, exist_ok=True)
        with layout.lock():
            stage = Stage.ROLLOUT if split == "train" else Stage.EVALUATE
            files = ReportingFiles(
                layout,
                iteration,
                stage,
                slots=self._rollout.concurrency,
                tasks=tasks,
                judge=self._judge,
                on_finished=lambda done: callbacks.report(done, files.rows),
            )
            for name in files.expect(list(files.index)):
                files.report(files.store.read(name))
            async with self._worker(agent, layout) as worker:
                lost = await worker.play(
                    files, [one.group for one in tasks], threshold=self._rollout.completion_threshold
                )
            await files.until_judged()
            self._finish(files, iteration, traj_metadata or {})
        callbacks.raise_error()
        if lost is not None:
            raise MasterLost(f"{self.master_url}: {lost}")
        return files.rows

    @asynccontextmanager
    async def _worker(self, agent: Policy | AgentConfig, layout: RunLayout) -> AsyncGenerator[ShardWorker]:
        environment = LiveWeb()
        inputs = RunInputs(
            layout,
            RolloutSettings(
                seed=0,
                iterations=1,
                environment=EnvironmentConfig(name="live", tasks=TasksConfig(train="", heldout="")),
                rollout=self._rollout,
                evaluate=EvaluateConfig(),
            ),
        )
        lifetime = field_of(self.env_config, "instance_lifetime_max") or LIFETIME_MINS
        async with AsyncExitStack() as stack:
            config, policy = await self._opened(agent, stack)
            log = layout.root / "leases.json"
            pool = LoggedPool(self.master_url, self._api_key, log, lifetime_mins=float(lifetime))
            await stack.enter_async_context(pool)
            if self._cleans_up:
                await pool.give_back_left()
            worker = ShardWorker(
                inputs,
                0,
                agent=config,
                environment=environment,
                pool=pool,
                policy=policy,
                served=SERVED,
                detect=self._detect,
            )
            stack.push_async_callback(worker.stop)
            yield worker

    async def _opened(self, agent: Policy | AgentConfig, stack: AsyncExitStack) -> tuple[AgentConfig, Policy]:
        """The settings of the episodes, and the policy. Raises TypeError."""
        deadlines = {
            "interaction_mode": self._mode,
            "episode_deadline_s": self._timeout_s,
            "step_deadline_s": min(LONGEST_STEP_S, self.retry_policy.operation_timeout),
            "lease_wait_s": min(LONGEST_WAIT_S, self.retry_policy.wait_timeout),
        }
        if isinstance(agent, AgentConfig):
            config = AgentConfig.model_validate(agent.model_dump() | deadlines)
            return config, await stack.enter_async_context(open_model(config, served=SERVED, uds=None, solve=None))
        if not callable(getattr(agent, "act", None)):
            raise TypeError(
                f"agent: expected a policy with `act`, or an AgentConfig, found {type(agent).__name__}; WebGym's WebAgent is "
                "AgentConfig(model=ChatModel(model=NAME, base_url=VLLM_SERVER_URL)) here"
            )
        # Any model but the loop's own, whose loss would end the stage.
        return AgentConfig.model_validate({"model": ScriptedSolution()} | deadlines), agent

    def _finish(self, files: ReportingFiles, iteration: int, metadata: Mapping[str, Any]) -> None:
        """Writes the rows, and tells the block list."""
        name = f"{self.split}_trajectories"
        path = self.save_path / name / f"{name}.iteration{iteration}{self.multinode_rank_suffix}.jsonl"
        write_rows(path, files.rows, metadata)
        if self._blocklist is not None:
            for trajectory in files.blocked.values():
                self._blocklist.record_blocked_website(trajectory.task.start_url, task_id=trajectory.task.id)


class _Callbacks:
    """Calls the caller's functions. The first error of one stops further calls, and is raised when all is played."""

    def __init__(
        self,
        total: int,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
        interval: float,
        state: MutableMapping[str, Any] | None,
    ) -> None:
        if not 0 < interval <= 1:
            raise ValueError(f"checkpoint_interval: expected more than 0 and at most 1, found {interval:g}")
        self._total, self._progress, self._checkpoint = total, progress, checkpoint
        self._interval, self._state = interval, {} if state is None else state
        self._error: Exception | None = None

    def report(self, done: int, rows: Rows) -> None:
        """An episode is finished; `done` of them are now."""
        if self._error is not None:
            return
        try:
            if self._progress is not None:
                self._progress(done, self._total)
            reached = int(done / self._total / self._interval + 1e-9)
            if self._checkpoint is not None and done < self._total and reached > self._state.get("reached", 0):
                self._state["reached"] = reached
                self._checkpoint(done, self._total, rows)
        except Exception as error:  # the caller's own code: it must not break the episode that has just ended
            self._error = error

    def raise_error(self) -> None:
        """Raises the error of a caller's function, if there was one."""
        if self._error is not None:
            raise self._error
