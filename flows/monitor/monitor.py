"""The task monitor: reads the folder of a running or finished run and returns a `Snapshot` of one of its stages.

    plan.jsonl                     the episodes of the stage
    live-*.json                    the phases of episodes being played
    <id>/trajectory.json           finished episodes, and the failures of broken ones
    verdicts.jsonl, progress-*     successes: the judge's verdicts, and before them the engine's own counts
    failures.jsonl                 failures of attempts
    pauses.jsonl                   pauses of hosts that block visits or can't be reached
    done.json                      exists when the stage is finished

It only reads: takes no lock and writes nothing, so any number of monitors may watch a run, from any machine.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from agent.verdict import Verdict
from flows.monitor.files import Ended, EndedEpisodes, Watched, whole_lines
from flows.monitor.model import BROKEN, PLAYING, Episode, EpisodeGroup, Snapshot, State
from flows.monitor.pace import Pace, pace_now, pace_of_all
from flows.settings.run_folder import RunFolder
from rollouts.plan import PLAN, Group
from storage.episode_phases import Cell, Live, read_live
from storage.errors import RunFolderError
from storage.failed_attempts import FAILURES, FailedAttempt
from storage.pauses import read_pauses
from storage.progress import Progress, read_progress
from storage.stages import Stage, StageKey, StageReport
from storage.verdicts import VERDICTS

SILENT_S = 60.0
"""Seconds without a write after which a stage counts as stalled, and its live files as left by a killed process."""
WITH_EPISODES = (Stage.ROLLOUT, Stage.EVALUATE)


class Monitor:
    """Watches a run: one iteration's stage, or (without `iteration`) the stage being played, then its successors."""

    def __init__(self, folder: RunFolder, *, iteration: int | None = None, stage: Stage | None = None) -> None:
        """Raises `RunFolderError` if the run has no such stage."""
        self._folder = folder
        self._wanted = WITH_EPISODES if stage is None else (stage,)
        self._fixed = None if iteration is None else _existing(folder, iteration, stage)
        self._eyes = _StageEyes(folder, self._key())

    def look(self, *, read_s: float | None = None) -> Snapshot:
        """The current snapshot. At most `read_s` seconds go into reading new trajectories; None reads all."""
        if (key := self._key()) != self._eyes.key:
            self._eyes = _StageEyes(self._folder, key)
        return self._eyes.look(read_s=read_s)

    def is_over(self) -> bool:
        """True if no further change is expected: the chosen stage, or else the run, is finished."""
        return self._folder.is_done(*self._fixed) if self._fixed else self._folder.next_stage() is None

    def _key(self) -> StageKey:
        """The chosen stage, or the latest stage with episodes that the run has reached."""
        if self._fixed:
            return self._fixed
        schedule, current = list(self._folder.schedule()), self._folder.next_stage()
        reached = schedule if current is None else schedule[: schedule.index(current) + 1]
        mine = [key for key in reached if key.stage in self._wanted]
        return mine[-1] if mine else next(key for key in schedule if key.stage in self._wanted)


def _existing(folder: RunFolder, iteration: int, stage: Stage | None) -> StageKey:
    last = folder.config.iterations
    if not 0 <= iteration <= last:
        raise RunFolderError(f"run {folder.name} has iterations 0 to {last}, not {iteration}")
    key = StageKey(iteration, stage or (Stage.EVALUATE if iteration == 0 else Stage.ROLLOUT))
    # An evaluation that was requested with `rl-loop evaluate` is in no schedule.
    if key not in folder.schedule() and not folder.stage_dir(*key).exists():
        if iteration == 0:
            raise RunFolderError(
                f"iteration 0 of run {folder.name} is the evaluation of its first policy, without rollout"
            )
        every = folder.config.evaluate.every
        raise RunFolderError(
            f"run {folder.name} does not evaluate after iteration {iteration} (evaluate.every={every})"
        )
    return key


class _StageEyes:
    """Caches the files read so far of one stage."""

    def __init__(self, folder: RunFolder, key: StageKey) -> None:
        self.key = key
        self._folder, self._directory = folder, folder.stage_dir(*key)
        judged_in = self._directory if key.stage is Stage.EVALUATE else folder.stage_dir(key.iteration, Stage.JUDGE)
        self._ended = EndedEpisodes(self._directory)
        self._plan = Watched(self._directory / PLAN, self._planned, before=[])
        self._rewards = Watched(judged_in / VERDICTS, _rewards, before={})
        self._attempts = Watched(self._directory / FAILURES, _broken_attempts, before=Counter[tuple[str, str]]())
        self._seconds = Watched(folder.done_file(*key), _seconds, before=None)

    def look(self, *, read_s: float | None) -> Snapshot:
        """The current snapshot of the stage."""
        now, is_finished = time.time(), self._folder.is_done(*self.key)
        lives = [] if is_finished else list(read_live(self._directory).values())
        fresh = [live for live in lives if now - live.at < SILENT_S]
        ended, rewards = self._ended.look(read_s=read_s), self._rewards.look()
        groups = list(self._groups(fresh, ended, rewards, State.LEFT_OUT if is_finished else State.WAITING))
        episodes = [episode for group in groups for episode in group.episodes]
        times = self._times(lives, ended)
        seconds = self._seconds.look() if is_finished else now - min(times) if times else None
        silent_s = None if is_finished or not times else max(0.0, now - max(times))
        steps = sum(episode.steps or 0 for episode in episodes)
        if is_finished:
            pace = pace_of_all(episodes=len(ended), steps=steps, seconds=seconds)
        elif not times or (silent_s is not None and silent_s > SILENT_S):
            pace = Pace()
        else:
            in_flight = sum(episode.steps or 0 for episode in episodes if episode.state in PLAYING)
            left = len(episodes) - len(ended)
            pace = pace_now(ended.values(), now=now, began=min(times), left=left, steps_in_flight=in_flight)
        canaries = {episode.id for group in groups if group.canary for episode in group.episodes}
        judged, successes = self._success({name: each for name, each in rewards.items() if name not in canaries})
        current = self._folder.next_stage()
        pauses = read_pauses(self._folder.stage_dir(*self.key))
        return Snapshot(
            run=self._folder.name,
            iterations=self._folder.config.iterations,
            key=self.key,
            current=current,
            progress=read_progress(self._folder.stage_dir(*current)) if current else Progress(),
            groups=groups,
            judged=judged,
            successes=successes,
            attempts=self._attempts.look(),
            slots=sum(live.slots for live in fresh),
            queued=sum(live.queued for live in fresh),
            pace=pace,
            seconds=seconds,
            silent_s=silent_s,
            is_finished=is_finished,
            counts=Counter(episode.state for episode in episodes),
            steps=steps,
            paused={} if is_finished else {one.host: one.until - now for one in pauses if one.until > now},
            pauses=len(pauses),
        )

    def _planned(self, path: Path) -> list[EpisodeGroup]:
        """The plan's groups, with all episodes waiting."""
        return [
            EpisodeGroup(
                one.task.id,
                [Episode(slot.trajectory_id, State.WAITING) for slot in one.slots(self.key.iteration)],
                one.task.canary,
            )
            for one in whole_lines(path, Group)
        ]

    def _groups(
        self, fresh: list[Live], ended: dict[str, Ended], rewards: dict[str, float | None], idle: State
    ) -> Iterator[EpisodeGroup]:
        """The plan's groups, then the groups that are played or stored here unplanned, carried over."""
        cells = {name: cell for live in fresh for name, cell in live.episodes.items()}
        others = cells.keys() | ended.keys()
        groups = list(self._plan.look())
        others -= {episode.id for group in groups for episode in group.episodes}
        carried: dict[str, list[Episode]] = {}
        for name in sorted(others):
            carried.setdefault(name.rpartition("-m")[0] or name, []).append(Episode(name, idle))
        for group in (*groups, *(EpisodeGroup(name, members) for name, members in carried.items())):
            yield group._replace(
                episodes=[
                    _episode(each.id, cells.get(each.id), ended.get(each.id), rewards.get(each.id), idle)
                    for each in group.episodes
                ]
            )

    def _success(self, rewards: dict[str, float | None]) -> tuple[int, int]:
        """Number of judged episodes, and number of successes among them."""
        if rewards:
            judged = [reward for reward in rewards.values() if reward is not None]
            return len(judged), sum(reward >= 1 for reward in judged)
        progress = read_progress(self._directory)
        return progress.judged, progress.successes

    def _times(self, lives: list[Live], ended: dict[str, Ended]) -> list[float]:
        """Times of events in this stage: the smallest is its start, the largest its latest activity."""
        times = [one.at for one in ended.values() if one.at is not None]
        for live in lives:
            times += [live.at, *(cell.since for cell in live.episodes.values())]
        for path in (self._directory / PLAN, *self._directory.glob("progress-*.json")):
            try:
                times.append(path.stat().st_mtime)
            except OSError:  # not written yet, or being replaced
                continue
        return times


def _episode(name: str, cell: Cell | None, ended: Ended | None, reward: float | None, idle: State) -> Episode:
    """The state of one episode. A stored trajectory takes precedence over a live file."""
    if ended is not None:
        if ended.broken is not None:
            state = BROKEN[ended.broken]
        elif reward is None:
            state = State.DONE
        else:
            state = State.SUCCESS if reward >= 1 else State.FAILURE
        return Episode(name, state, ended.steps)
    return Episode(name, State(cell.phase), cell.step, cell.since) if cell else Episode(name, idle)


def _rewards(path: Path) -> dict[str, float | None]:
    return {verdict.trajectory_id: verdict.reward for verdict in whole_lines(path, Verdict)}


def _broken_attempts(path: Path) -> Counter[tuple[str, str]]:
    return Counter((one.failure.side, one.failure.code) for one in whole_lines(path, FailedAttempt))


def _seconds(path: Path) -> float | None:
    return StageReport.model_validate_json(path.read_bytes()).seconds
