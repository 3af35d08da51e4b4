"""Task outcomes written by the judge stage, and the costs of a stage's trajectories."""

from pathlib import Path

import pytest

from agent.episode_facts import facts_of
from agent.types import Failure, StopReason, Task, Trajectory
from agent.verdict import Verdict
from rollouts.measures.stage_costs import wasted, written
from rollouts.task_history import OUTCOMES, read_outcomes, write_outcomes
from storage.errors import RunFolderError
from storage.failed_attempts import FAILURES, FailedAttempt, append_line, read_failures
from storage.verdicts import VERDICTS, read_verdicts

BROKEN = Failure(side="site", code="X", message="x", retryable=True)


def played(member: int, *, task: str = "t", failure: Failure | None = None) -> Trajectory:
    return Trajectory(
        id=f"{task}-m{member}",
        task=Task(id=task, environment="live", domain="d", start_url="https://A.example/x"),
        goal="",
        group=task,
        member=member,
        iteration=3,
        steps=(),
        stop=StopReason.FAILED if failure else StopReason.DONE,
        failure=failure,
        seconds=6.0,
    )


def test_outcomes_by_task(tmp_path: Path) -> None:
    episodes = [played(0), played(1), played(2), played(3, failure=BROKEN), played(0, task="u")]
    rewards: dict[str, tuple[float | None, bool]] = {
        "t-m0": (1.0, False),
        "t-m1": (0.5, False),
        "t-m2": (0.0, True),
        "t-m3": (None, False),
    }
    verdicts = {
        name: Verdict(trajectory_id=name, reward=reward, blocked=blocked, judge="t")
        for name, (reward, blocked) in rewards.items()
    }
    write_outcomes(tmp_path, [facts_of(one) for one in episodes], verdicts, iteration=3)
    t, u = read_outcomes(tmp_path)
    assert (t.task, t.family, t.host, t.iteration) == ("t", "d", "a.example", 3)
    assert (t.attempts, t.judged, t.successes, t.blocked, t.site_failures) == (4, 2, 1, 1, 1)
    assert (u.task, u.attempts, u.judged, u.well) == ("u", 1, 0, 1)
    assert t.well == 2, "one was turned away, one was broken by the site"
    (tmp_path / OUTCOMES).write_text('{"task": ')
    with pytest.raises(RunFolderError, match="the stage judges again"):
        read_outcomes(tmp_path)
    assert read_outcomes(tmp_path / "none") == []


def test_lines_with_any_text_and_one_torn_inside_a_character_are_read(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\u0085d"
    failure = BROKEN.model_copy(update={"message": text})
    attempt = FailedAttempt(trajectory_id="t-m0", attempt=1, at="", failure=failure)
    append_line(tmp_path / FAILURES, attempt.model_dump_json())
    with (tmp_path / FAILURES).open("ab") as file:
        file.write('{"trajectory_id": "ä'.encode()[:-1])
    assert read_failures(tmp_path / FAILURES) == [attempt]
    verdict = Verdict(trajectory_id="t-m0", reward=1.0, evidence=text, judge="t")
    (tmp_path / VERDICTS).write_text(f"{verdict.model_dump_json()}\n")
    assert read_verdicts(tmp_path) == [verdict]


def test_wasted_work_and_room(tmp_path: Path) -> None:
    attempt = FailedAttempt(trajectory_id="t-m0", attempt=1, at="", failure=BROKEN, steps=4, seconds=2.0)
    append_line(tmp_path / FAILURES, attempt.model_dump_json())
    with (tmp_path / FAILURES).open("a") as file:
        file.write('{"trajectory_id": "t-m1", "att')
    assert read_failures(tmp_path / FAILURES) == [attempt]
    costs = wasted(tmp_path, [facts_of(played(0)), facts_of(played(1, failure=BROKEN))])
    assert costs == {"wasted_attempts": 1, "wasted_steps": 4, "wasted_s": 2.0, "wasted_share": 0.25}
    assert wasted(tmp_path / "none", []) == {"wasted_attempts": 0, "wasted_steps": 0, "wasted_s": 0}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x").write_bytes(b"12345678")
    (tmp_path / FAILURES).unlink()
    assert written(tmp_path, steps=4) == {"bytes": 8, "bytes_per_step": 2}
    assert written(tmp_path, steps=0) == {"bytes": 8}
