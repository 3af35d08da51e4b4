"""Verdicts of a rollout that the judge stage takes over: they are computed once, when the episode ends.

    early.jsonl in a stage folder    a line per verdict: {"basis": "3f0c..", "verdict": {..}}

Only decisions of judges without a model are there, and only of chains in which these come first. A verdict is taken over
if its basis, which is the trajectory and the configuration of the judges, is still the same; `rl-loop rejudge` never does.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.types import JudgeName, Trajectory
from agent.verdict import Judge, Verdict
from judging.chain import is_decided
from judging.config import JudgeConfig
from judging.verdict_key import digest_of
from storage.failed_attempts import append_line

EARLY = "early.jsonl"
WITHOUT_MODEL: Collection[JudgeName] = ("verifier", "answer")
SETTINGS = {"chain", "environments", "ask_all"}
"""The settings of the judges on which a decision without a model depends."""


class EarlyVerdict(BaseModel):
    """A line of early.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    basis: str
    verdict: Verdict


class Noting:
    """A judge whose decisions are noted for the judge stage. Implements `agent.verdict.Judge`."""

    def __init__(self, judge: Judge, config: JudgeConfig, folder_of: Callable[[Trajectory], Path]) -> None:
        """`folder_of`: the stage folder in which an episode's verdict is noted; see `Taking`."""
        self.name = judge.name
        self._judge, self._config, self._folder_of = judge, config, folder_of

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The judge's verdict. A folder that can't be written costs the note, never the verdict."""
        verdict = await self._judge.judge(trajectory)
        if is_decided(verdict) and may_be_taken(self._config, trajectory):
            line = EarlyVerdict(basis=basis_of(self._config, trajectory), verdict=verdict)
            with suppress(OSError):
                append_line(self._folder_of(trajectory) / EARLY, line.model_dump_json())
        return verdict


class Taking:
    """Takes over the noted verdicts, and asks a judge about the other trajectories. Implements `agent.verdict.Judge`."""

    def __init__(self, judge: Judge, config: JudgeConfig, folder_of: Callable[[Trajectory], Path]) -> None:
        self.name = judge.name
        self._judge, self._config, self._folder_of = judge, config, folder_of
        self._read: dict[Path, dict[str, EarlyVerdict]] = {}

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The noted verdict, if it is about this trajectory and these judges; otherwise the judge's."""
        folder = self._folder_of(trajectory)
        if folder not in self._read:
            self._read[folder] = read_early(folder)
        found = self._read[folder].get(trajectory.id)
        if found and may_be_taken(self._config, trajectory) and found.basis == basis_of(self._config, trajectory):
            return found.verdict
        return await self._judge.judge(trajectory)


def may_be_taken(config: JudgeConfig, trajectory: Trajectory) -> bool:
    """True if a decision without a model is the chain's decision, and no further judge has to be asked."""
    if config.ask_all or trajectory.task.canary:
        return False
    needs_model = [name not in WITHOUT_MODEL for name in config.chain_of(trajectory.task)]
    return needs_model == sorted(needs_model)


def basis_of(config: JudgeConfig, trajectory: Trajectory) -> str:
    """Hash of all that the decision depends on."""
    settings = config.model_dump(mode="json", include=SETTINGS)
    parts = [digest_of(trajectory), settings, config.chain_of(trajectory.task)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_early(folder: Path) -> dict[str, EarlyVerdict]:
    """The latest note about each trajectory, by its id. Lines that a crash cut off are passed over."""
    found: dict[str, EarlyVerdict] = {}
    path = folder / EARLY
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            one = EarlyVerdict.model_validate_json(line)
        except ValidationError:
            continue
        found[one.verdict.trajectory_id] = one
    return found
