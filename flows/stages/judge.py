"""Judging: reads the trajectories of a stage folder, writes verdicts.jsonl and metrics. It changes no trajectory."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from agent.episode_facts import EpisodeFacts, facts_of
from agent.judging.verifier import Check
from agent.metrics import summarize
from agent.models.vendors import ModelUnavailable
from agent.types import Trajectory
from agent.verdict import Verdict
from environments.registry import make_environment
from flows.policy.publishing import StageError
from flows.settings.run_folder import RunFolder
from flows.stages.overlap import overlapped
from judging.config import JudgeConfig
from judging.in_order import in_order
from judging.opening import is_judged, open_judges
from judging.verdicts import CorruptVerdicts
from rollouts.evidence import lack_of_verdicts
from rollouts.task_history import write_outcomes
from storage.progress import Progress, ProgressFile
from storage.stages import Stage, StageKey, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import write_verdicts
from training import failpoints


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
        return summarize(self.episodes, self.by_id()) | each | costs_of(self.verdicts)


async def judge_stage(folder: RunFolder, iteration: int) -> StageReport:
    """Judge the training trajectories of an iteration. Its metrics are the rollout's, including the success rate."""
    began = time.monotonic()
    trajectories = TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT))
    directory = folder.stage_dir(iteration, Stage.JUDGE)
    progress = ProgressFile(directory)
    progress.add(Progress(total=len(trajectories.ids())))
    judged = await judge_all(folder, trajectories, directory, shuffled_by=shuffle_seed(folder, iteration))
    write_outcomes(directory, judged.episodes, judged.by_id(), iteration=iteration)
    check_judged(folder, StageKey(iteration, Stage.JUDGE), judged.verdicts)
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
    judged = await judge_stored(folder.config.judge, check, trajectories, directory, after=keep)
    if shuffled_by is not None:
        judged = judged._replace(verdicts=shuffled(judged.verdicts, shuffled_by))
    write_verdicts(directory, judged.verdicts)
    return judged


async def judge_stored(
    config: JudgeConfig,
    check: Check,
    trajectories: TrajectoryStore,
    directory: Path,
    *,
    after: Callable[[Trajectory, Verdict], None] = lambda trajectory, verdict: None,
) -> Judged:
    """Judges stored trajectories by a chain. `directory` keeps the verdicts of a judge model; `after` is called for each.

    Raises `StageError` when the judge model cannot be opened, or its file of verdicts cannot be trusted.
    """
    verdicts: list[Verdict] = []
    episodes: list[EpisodeFacts] = []
    began = time.monotonic()
    try:
        async with (
            open_judges(config, check, trajectories.image, directory, requests=trajectories.requests) as judge,
            aclosing(in_order(trajectories, judge.judge, at_once=config.trajectories_at_once)) as judged,
        ):
            async for trajectory, verdict in judged:
                verdicts.append(verdict)
                after(trajectory, verdict)
                episodes.append(facts_of(trajectory))
    except (ModelUnavailable, CorruptVerdicts) as error:
        raise StageError(f"judging: {error}") from error
    return Judged(verdicts, episodes, time.monotonic() - began)


def check_judged(folder: RunFolder, key: StageKey, verdicts: Iterable[Verdict]) -> None:
    """Raises `StageError` when the chain can judge any task and too few of the judgeable episodes were judged."""
    has_verifier = make_environment(folder.config.environment).judges
    lack = (
        lack_of_verdicts(folder.inputs, key, verdicts)
        if is_judged(folder.config.judge, has_verifier=has_verifier)
        else None
    )
    if lack:
        raise StageError(f"{lack}; `rl-loop resume {folder.name}` judges again")


def costs_of(verdicts: list[Verdict]) -> dict[str, float]:
    """Consumption of the judge model, and the unjudged verdicts by the code of their reason; nothing without a model."""
    asked = [verdict for verdict in verdicts if verdict.model or verdict.tokens_in]
    reasons = Counter(verdict.unjudged for verdict in verdicts if verdict.reward is None and verdict.unjudged)
    costs = {f"unjudged/{code}": float(count) for code, count in sorted(reasons.items())}
    if asked:
        costs["judge_tokens"] = float(sum(verdict.tokens_in + verdict.tokens_out for verdict in asked))
        costs["judge_cost"] = sum(verdict.cost for verdict in asked)
    return costs


def unjudged(verdicts: Iterable[Verdict]) -> int:
    """Number of trajectories without a reward."""
    return sum(verdict.reward is None for verdict in verdicts)


def shuffle_seed(folder: RunFolder, iteration: int) -> str | None:
    """The seed of an iteration's shuffle, None when rewards are not shuffled."""
    return f"{folder.config.seed}/{iteration}" if folder.config.judge.shuffle_rewards else None


def shuffled(verdicts: list[Verdict], seed: str) -> list[Verdict]:
    """The same verdicts with the rewards of the judged ones permuted at random; the unjudged stay unjudged."""
    rewards = [verdict.reward for verdict in verdicts if verdict.reward is not None]
    random.Random(seed).shuffle(rewards)
    dealt = iter(rewards)
    return [
        v if v.reward is None else v.model_copy(update={"reward": next(dealt), "judge": "shuffled"}) for v in verdicts
    ]
