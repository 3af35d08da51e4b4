"""Task history in the run folder: a judge stage writes the outcome of each task, and later plans read it.

iterations/0003/judge/tasks.jsonl      a line per task: `environments.history.Outcome`
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from agent.episode_facts import EpisodeFacts
from agent.verdict import Verdict
from environments.history import Outcome
from environments.taskfiles.table import host_of
from storage.atomic import write_atomically
from storage.errors import RunFolderError

OUTCOMES = "tasks.jsonl"


def write_outcomes(
    directory: Path, episodes: Iterable[EpisodeFacts], verdicts: Mapping[str, Verdict], *, iteration: int
) -> None:
    """Writes tasks.jsonl of a judge stage as a whole. `verdicts` is keyed by trajectory id."""
    by_task: dict[str, list[EpisodeFacts]] = {}
    for one in episodes:
        if one.canary:  # it says nothing about the policy's success in its family
            continue
        by_task.setdefault(one.task, []).append(one)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    outcomes = [outcome_of(attempts, verdicts, iteration=iteration, at=now) for _, attempts in sorted(by_task.items())]
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / OUTCOMES, "".join(f"{outcome.model_dump_json()}\n" for outcome in outcomes).encode())


def outcome_of(attempts: list[EpisodeFacts], verdicts: Mapping[str, Verdict], *, iteration: int, at: str) -> Outcome:
    """The outcome of one task's episodes. A blocked episode is no evidence about the policy: it is unjudged."""
    found = [verdict for one in attempts if (verdict := verdicts.get(one.id))]
    judged = [verdict.reward for verdict in found if verdict.reward is not None and not verdict.blocked]
    blocked = {verdict.trajectory_id for verdict in found if verdict.blocked}
    return Outcome(
        task=attempts[0].task,
        family=attempts[0].domain,
        host=host_of(attempts[0].start_url),
        iteration=iteration,
        attempts=len(attempts),
        judged=len(judged),
        successes=sum(reward >= 1 for reward in judged),
        blocked=len(blocked),
        site_failures=sum(one.failed_on == "site" and one.id not in blocked for one in attempts),
        well=sum(one.failed_on is None and one.id not in blocked for one in attempts),
        at=at,
    )


def read_outcomes(directory: Path) -> list[Outcome]:
    """The outcomes written by a judge stage; none if it has not run. Raises `RunFolderError` if the file is damaged."""
    path = directory / OUTCOMES
    if not path.exists():
        return []
    try:
        return [Outcome.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} is damaged; delete it and the done.json beside it, and resume: the stage judges again"
        ) from error
