"""Judging a labelled set: a folder with people's labels, converted into stored trajectories and judged by any chain.

OUT/trajectories/             the set's episodes as ours; what is there is not read again
   /labels.jsonl              its labels, a verdict per line, written anew each time
   /sets/<name>/verdicts.jsonl, judged.jsonl    verdicts of one chain; those of a judge model are paid for once
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agent.types import Trajectory
from agent.verdict import Verdict
from flows.stages.judge import judge_stored
from flows.stages.rejudge import SETS
from judging.config import JudgeConfig
from judging.meta.labelled.agent_reward_bench import read_agent_reward_bench
from judging.meta.labelled.cua_verifier_bench import read_cua_verifier_bench
from judging.meta.labelled.protocol import BadSet, Example, Problem, Read
from storage.atomic import write_atomically
from storage.errors import LoopError
from storage.lock import locked
from storage.names import checked_name
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS, read_verdicts, write_verdicts

LabelFormat = Literal["agentrewardbench", "cuaverifierbench"]
READERS: dict[LabelFormat, Read] = {
    "agentrewardbench": read_agent_reward_bench,
    "cuaverifierbench": read_cua_verifier_bench,
}
TRAJECTORIES, LABELS = "trajectories", "labels.jsonl"


class Labelled(NamedTuple):
    """A converted set."""

    store: TrajectoryStore
    labels: list[Verdict]
    problems: list[Problem]


def convert(folder: Path, form: LabelFormat, out: Path) -> Labelled:
    """Reads a labelled set into `out`, but for the episodes that are there already. Raises `LoopError`."""
    store = TrajectoryStore(out / TRAJECTORIES)
    try:
        found = READERS[form](folder)
        problems = list(found.problems)
        known = set(store.ids())
        for one in found.examples(known):
            match one:
                case Example(trajectory, pictures):
                    store.write(trajectory, pictures)
                case Problem():
                    problems.append(one)
    except BadSet as error:
        raise LoopError(str(error)) from error
    lines = "".join(f"{label.model_dump_json()}\n" for label in found.labels)
    write_atomically(out / LABELS, lines.encode())
    return Labelled(store, found.labels, problems)


async def judge_labelled(out: Path, config: JudgeConfig, name: str, tell: Callable[[str], None]) -> list[Verdict]:
    """Judges a converted set by the chain of `config` into the set `name`. Raises `LoopError`."""
    directory = set_of(out, name)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        judged = await judge_stored(config, _unjudged, TrajectoryStore(out / TRAJECTORIES), directory, people={})
        write_verdicts(directory, judged.verdicts)
    tell(f"{len(judged.verdicts)} episodes judged in {judged.seconds:.1f} s")
    return judged.verdicts


def judged_before(out: Path, name: str) -> list[Verdict]:
    """The verdicts of a set. Raises `LoopError` that names the sets if there is none."""
    directory = set_of(out, name)
    if not (directory / VERDICTS).exists():
        known = ", ".join(sorted(path.parent.name for path in (out / SETS).glob(f"*/{VERDICTS}"))) or "none"
        raise LoopError(
            f"{out} has no verdicts of the set {name}; sets: {known}; settings such as judge.chain=[rubric] make one"
        )
    return read_verdicts(directory)


def set_of(out: Path, name: str) -> Path:
    """The folder of a set of verdicts. Raises `RunNameError` for a name that is no file name."""
    return out / SETS / checked_name(name, of="set")


async def _unjudged(trajectory: Trajectory, _: dict[str, Any]) -> Verdict:
    """The check of an environment that is not there."""
    why = "not judged: a labelled set has no environment; use judge.chain=[rubric]"
    return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why, judge="verifier")
