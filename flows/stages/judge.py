"""Judging: reads the trajectories of a stage folder, writes verdicts.jsonl and metrics. It changes no trajectory."""

import logging
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agent.episode_facts import EpisodeFacts, facts_of
from agent.judging.verifier import Check
from agent.metrics import summarize
from agent.models.vendors import ModelUnavailable
from agent.types import Trajectory
from agent.verdict import Verdict
from environments.registry import make_environment
from flows.policy.waiting import StageError
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.canary_alarm import check_canaries
from flows.stages.overlap import overlapped
from flows.stages.stage_inputs import early_folder
from judging.config import JudgeConfig
from judging.early import Taking
from judging.human import PeopleFirst
from judging.in_order import in_order
from judging.meta.metrics import judge_metrics
from judging.opening import is_judged, open_judges
from judging.verdicts import CorruptVerdicts
from rollouts.evidence import lack_of_verdicts
from rollouts.task_history import write_outcomes
from storage.human_verdicts import HUMAN, latest, read_human
from storage.progress import Progress, ProgressFile
from storage.stages import Stage, StageKey, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import write_verdicts
from training import failpoints

logger = logging.getLogger(__name__)


class Judged(NamedTuple):
    """The verdicts of a stage folder in the order of its trajectories, with the facts about each episode."""

    verdicts: list[Verdict]
    episodes: list[EpisodeFacts]
    seconds: float
    """Duration of judging alone."""

    def by_id(self) -> dict[str, Verdict]:
        """Verdicts by trajectory id."""
        return {verdict.trajectory_id: verdict for verdict in self.verdicts}

    def metrics(self) -> dict[str, float]:
        """The metrics of `agent.metrics.summarize`, and the seconds of judging per episode."""
        each = {"phase_s_mean/judge": self.seconds / len(self.episodes)} if self.episodes else {}
        return summarize(self.episodes, self.by_id()) | each | judge_metrics(self.verdicts, self.canaries())

    def canaries(self) -> frozenset[str]:
        """Ids of the trajectories of tasks that nobody can do."""
        return frozenset(one.id for one in self.episodes if one.canary)


async def judge_stage(folder: RunFolder, iteration: int) -> StageReport:
    """Judge the training trajectories of an iteration. Its metrics are the rollout's, including the success rate."""
    began = time.monotonic()
    trajectories = TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT))
    directory = folder.stage_dir(iteration, Stage.JUDGE)
    progress = ProgressFile(directory)
    progress.add(Progress(total=len(trajectories.ids())))
    judged = await judge_all(folder, trajectories, directory, shuffled_by=shuffle_seed(folder, iteration))
    write_outcomes(directory, judged.episodes, judged.by_id(), iteration=iteration)
    check_judged(folder, StageKey(iteration, Stage.JUDGE), judged)
    canaries = judged.canaries()
    check_canaries(
        folder,
        StageKey(iteration, Stage.JUDGE),
        judged.verdicts,
        {one.id: one.task for one in judged.episodes if one.id in canaries},
        where="",
        way_out=f"{on_run('resume', folder.root, 'judge.canary_alarm=warn')} trains on them all the same",
    )
    failpoints.reach("judge.before_done")
    return folder.finish(
        StageReport(
            stage=Stage.JUDGE,
            iteration=iteration,
            counts={"verdicts": len(judged.verdicts), "unjudged": unjudged(judged.verdicts)},
            metrics=judged.metrics() | overlapped(directory),
            seconds=time.monotonic() - began,
        )
    )


async def judge_all(
    folder: RunFolder, trajectories: TrajectoryStore, directory: Path, *, shuffled_by: str | None = None
) -> Judged:
    """Write one verdict per trajectory, in their order, to `directory`/verdicts.jsonl in one write. Verdicts of a judge
    model are stored one by one before that. Videos and traces that the rules of `agent.record` do not keep are removed.

    `shuffled_by` is the seed of the control experiment `judge.shuffle_rewards`.
    """

    def keep(trajectory: Trajectory, verdict: Verdict) -> None:
        trajectories.keep_by_rule(folder.config.agent.record, trajectory, verdict)

    check = make_environment(folder.config.environment).check
    people = latest(read_human(directory / HUMAN))
    stage = Stage.EVALUATE if directory.name == Stage.EVALUATE else Stage.ROLLOUT
    early = partial(early_folder, folder, stage)
    judged = await judge_stored(
        folder.config.judge, check, trajectories, directory, people=people, early=early, after=keep
    )
    if shuffled_by is not None:
        judged = judged._replace(verdicts=shuffled(judged.verdicts, shuffled_by, but=judged.canaries()))
    write_verdicts(directory, judged.verdicts)
    return judged


async def judge_stored(
    config: JudgeConfig,
    check: Check,
    trajectories: TrajectoryStore,
    directory: Path,
    *,
    people: Mapping[str, Verdict],
    early: Callable[[Trajectory], Path] | None = None,
    after: Callable[[Trajectory, Verdict], None] = lambda trajectory, verdict: None,
) -> Judged:
    """Judges stored trajectories by a chain. `directory` keeps the verdicts of the judge models; `people` has those of
    people, by trajectory id, which go before the chain's; `early` has the folder in which the rollout noted its verdict on a
    trajectory (None: all are judged anew); `after` is called for each.

    Raises `StageError` when the judge model cannot be opened, or its file of verdicts cannot be trusted.
    """
    verdicts: list[Verdict] = []
    episodes: list[EpisodeFacts] = []
    began = time.monotonic()
    try:
        async with (
            open_judges(config, check, trajectories.image, directory, requests=trajectories.requests) as judges,
            aclosing(
                in_order(
                    trajectories,
                    PeopleFirst(Taking(judges, config, early) if early else judges, people).judge,
                    at_once=config.trajectories_at_once,
                )
            ) as judged,
        ):
            async for trajectory, verdict in judged:
                verdicts.append(verdict)
                after(trajectory, verdict)
                episodes.append(facts_of(trajectory))
    except (ModelUnavailable, CorruptVerdicts) as error:
        raise StageError(f"judging: {error}") from error
    return Judged(verdicts, episodes, time.monotonic() - began)


def check_judged(folder: RunFolder, key: StageKey, found: Judged) -> None:
    """Raises `StageError` when the chain can judge any task and too few of the judgeable episodes were judged."""
    environment = folder.config.environment
    has_verifier = make_environment(environment).judges
    judged = is_judged(folder.config.judge, environment.name, has_verifier=has_verifier)
    if judged and (lack := lack_of_verdicts(folder.inputs, key, found.verdicts, found.episodes)):
        raise StageError(f"{lack}; `rl-loop resume {folder.name}` judges again")


def unjudged(verdicts: Iterable[Verdict]) -> int:
    """Number of trajectories without a reward."""
    return sum(verdict.reward is None for verdict in verdicts)


def shuffle_seed(folder: RunFolder, iteration: int) -> str | None:
    """The seed of an iteration's shuffle, None when rewards are not shuffled."""
    return f"{folder.config.seed}/{iteration}" if folder.config.judge.shuffle_rewards else None


def shuffled(verdicts: list[Verdict], seed: str, *, but: Collection[str] = ()) -> list[Verdict]:
    """The same verdicts with the rewards of the judged ones permuted at random; the unjudged stay unjudged.

    `but`: ids of trajectories that keep their rewards, those of canaries.
    """
    rewards = [v.reward for v in verdicts if v.reward is not None and v.trajectory_id not in but]
    random.Random(seed).shuffle(rewards)
    dealt = iter(rewards)
    return [
        v
        if v.reward is None or v.trajectory_id in but
        else v.model_copy(update={"reward": next(dealt), "judge": "shuffled"})
        for v in verdicts
    ]
