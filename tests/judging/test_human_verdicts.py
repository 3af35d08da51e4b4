"""People's verdicts: a file that loses nothing, a command, and the precedence in judging, judging again and training."""

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, asking, played

from agent.verdict import Verdict
from flows.cli import main
from flows.commands.checkup import verdicts
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from storage.errors import LoopError
from storage.human_verdicts import HUMAN, HumanVerdict, HumanVerdictError, append_human, latest, read_human
from storage.stages import Stage, StageReport
from storage.verdicts import VERDICTS, read_verdict_lines, read_verdicts, write_verdicts
from training.errors import BadInput
from training.learning.update_inputs import read_verdicts as read_for_training

Run = Callable[..., tuple[int, str, str]]
FIRST = "i0001-t.0-m00"
WHEN = datetime(2026, 11, 29, 10, 15, tzinfo=UTC)


def decision(name: str = "t-m0", reward: float | None = 1.0, **fields: Any) -> HumanVerdict:
    return HumanVerdict(trajectory_id=name, reward=reward, person="anna", at=WHEN, **fields)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl-loop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code
        return (status if isinstance(status, int) else 0, *capsys.readouterr())

    return call


def test_the_last_decision_holds_and_the_earlier_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "judge" / HUMAN
    assert read_human(path) == []
    said = [
        decision(),
        decision("t-m1", 0.5),
        decision(reward=0.0, note="wrong lamp"),
        decision("t-m2", None, blocked=True),
    ]
    for one in said:
        append_human(path, one)
    assert read_human(path) == said
    held = latest(said)
    assert [(name, one.reward, one.blocked) for name, one in held.items()] == [
        ("t-m0", 0.0, False),
        ("t-m1", 0.5, False),
        ("t-m2", None, True),
    ]
    assert held["t-m0"].evidence == "decided by anna at 2026-11-29T10:15:00+00:00: wrong lamp"
    assert (held["t-m0"].judge, held["t-m0"].person, held["t-m0"].decided_at[:10]) == ("human", "anna", "2026-11-29")


def test_a_file_cut_at_any_byte_keeps_the_complete_decisions_and_takes_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / HUMAN
    append_human(path, decision("a"))
    append_human(path, decision("b", 0.0, note="naïve"))
    data = path.read_bytes()
    whole = [decision("a"), decision("b", 0.0, note="naïve")]
    first = data.index(b"\n")
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        # A whole line without its end is a decision, too: people write such files by hand.
        kept = whole[: (length >= first) + (length >= len(data) - 1)]
        assert read_human(path) == kept, length
        if length % 8 == 0 or length >= len(data) - 2 or abs(length - first) < 2:  # each one waits for the disk
            append_human(path, decision("c"))
            assert read_human(path) == [*kept, decision("c")], length


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / HUMAN
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append_human(path, decision(f"t-m{number}")), range(64)))
    assert {one.trajectory_id for one in read_human(path)} == {f"t-m{number}" for number in range(64)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reward": 2}, "reward: Input should be less than or equal to 1"),
        ({"reward": "NaN"}, "reward: Input should be a finite number"),
        ({"reward": None}, "expected a reward or blocked, and not both"),
        ({"blocked": True}, "expected a reward or blocked, and not both"),
        ({"person": ""}, "person: String should have at least 1 character"),
        ({"person": "an\u202ena"}, "person: expected one line of text"),
        ({"note": "two\nlines"}, "note: expected one line of text"),
        ({"note": "x" * 2_001}, "note: String should have at most 2000 characters"),
        ({"at": "2026-11-29T10:15:00"}, "at: Input should have timezone info"),
        ({"trajectory_id": "../x"}, "trajectory_id: String should match pattern"),
        ({"judge": "me"}, "judge: Extra inputs are not permitted"),
    ],
)
def test_an_invalid_line_is_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = tmp_path / HUMAN
    good = json.loads(decision().model_dump_json())
    path.write_text(f"{json.dumps(good)}\n{json.dumps(good | change)}\n")
    with pytest.raises(HumanVerdictError) as refused:
        read_human(path)
    assert f"line 2 is no verdict of a person: {sentence}" in str(refused.value)
    path.write_text(f"no json\n{json.dumps(good)}\n")
    with pytest.raises(HumanVerdictError, match="line 1 is no verdict"):
        append_human(path, decision())


def test_the_command_lists_and_decides_and_the_stage_asks_nobody(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, run: Run
) -> None:
    folder = played(tmp_path, asking(server), episodes)
    root = folder.root
    assert run("verdict", root, FIRST)[1] == (
        f"nobody has decided about {FIRST} yet; --reward or --blocked, with --by, decides\n"
    )
    status, out, err = run("verdict", root, FIRST, "--reward", 0, "--by", "anna", "--note", "wrong lamp")
    assert (status, err) == (0, "") and "recorded: human: reward 0; decided by anna at 20" in out
    assert "iteration 1, judge is not finished and will use it" in out
    status, out, _ = run("verdict", root, "i0001-t.0-m01", "--blocked", "--by", "otto")
    assert status == 0
    report = asyncio.run(judge_stage(folder, 1))
    first = read_verdicts(folder.stage_dir(1, Stage.JUDGE))[:3]
    assert [(one.judge, one.reward, one.blocked, one.person) for one in first] == [
        ("human", 0.0, False, "anna"),
        ("human", None, True, "otto"),
        ("rubric", 1.0, False, ""),
    ]
    assert len(server.questions) == 2 * (GROUPS * MEMBERS - 2) and report.metrics["blocked"] == 1

    name = "i0001-t.1-m00"
    status, out, _ = run("verdict", root, name, "--reward", 0, "--by", "anna")
    assert out.startswith("rubric: reward 1; ") and "the policy update of iteration 1 will use it" in out
    status, out, _ = run("verdict", root, name, "--reward", 0.5, "--by", "otto")
    assert out.splitlines()[1].startswith("human: reward 0; decided by anna at ")
    trained = read_for_training(folder.stage_dir(1, Stage.JUDGE) / VERDICTS)
    assert (trained[name].reward, trained[name].person, len(trained)) == (0.5, "otto", GROUPS * MEMBERS)
    folder.finish(StageReport(stage=Stage.POLICY_UPDATE, iteration=1, seconds=1.0))
    folder.finish(StageReport(stage=Stage.JUDGE, iteration=1, seconds=1.0))
    status, out, _ = run("verdict", root, name, "--reward", 1, "--by", "anna")
    assert "is finished and stays as it is; `rl-loop rejudge" in out


def test_judging_again_puts_people_first_unless_the_judge_is_to_be_measured(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, run: Run
) -> None:
    folder = judged(tmp_path, server, episodes)
    append_human(folder.stage_dir(1, Stage.JUDGE) / HUMAN, decision(FIRST, 0.0))
    given = tmp_path / "labels.jsonl"
    append_human(given, decision("i0001-t.1-m00", 0.0))

    def set_of(name: str, *options: object) -> dict[str, Verdict]:
        status, _, err = run("rejudge", folder.root, "--set", name, *options)
        assert status == 0, err
        directory = folder.stage_dir(1, Stage.JUDGE) / "sets" / name
        return {one.trajectory_id: one for one in read_verdicts(directory)}

    assert [set_of("one")[name].judge for name in (FIRST, "i0001-t.1-m00")] == ["human", "rubric"]
    both = set_of("two", "--human", given)
    assert [both[name].judge for name in (FIRST, "i0001-t.1-m00")] == ["human", "human"]
    assert {one.judge for one in set_of("three", "--no-people").values()} == {"rubric"}
    status, _, err = run("rejudge", folder.root, "--set", "four", "--human", tmp_path / "none.jsonl")
    assert status == 1 and "expected people's verdicts, found none" in err and err.count("\n") == 1

    append_human(given, decision(FIRST, 1.0))
    reference = {one.trajectory_id: one.reward for one in read_verdict_lines(given)}
    assert reference == {"i0001-t.1-m00": 0.0, FIRST: 1.0}
    status, out, _ = run("judge-report", folder.root, "--set", "three", "--reference", given)
    assert status == 0 and "both decided on 2 trajectories" in out and "false positive: i0001-t.1-m00" in out


def test_the_doctor_reads_peoples_verdicts(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> None:
    folder = judged(tmp_path, server, episodes)
    path = folder.stage_dir(1, Stage.JUDGE) / HUMAN
    append_human(path, decision(FIRST))
    assert verdicts(folder).endswith("; people decided about 1")
    append_human(path, decision("other-m0"))
    with pytest.raises(LoopError, match="decides about other-m0, which the stage does not have"):
        verdicts(folder)
    path.write_text("{}\n")
    with pytest.raises(LoopError, match="line 1 is no verdict of a person"):
        verdicts(folder)


def judged(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> RunFolder:
    """A run whose judge stage is finished."""
    folder = played(tmp_path, asking(server), episodes)
    folder.finish(StageReport(stage=Stage.ROLLOUT, iteration=1, seconds=1.0))
    asyncio.run(judge_stage(folder, 1))
    return folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing-m0", "--reward", 1, "--by", "a"], "has no trajectory 'nothing-m0'"),
        (["../../x", "--reward", 1, "--by", "a"], "has no trajectory '../../x'"),
        ([FIRST, "--reward", 1], "a person's verdict needs a name; add --by NAME"),
        ([FIRST, "--reward", 1.5, "--by", "a"], "reward: Input should be less than or equal to 1"),
        ([FIRST, "--reward", "nan", "--by", "a"], "reward: Input should be"),
        ([FIRST, "--reward", 1, "--blocked", "--by", "a"], "expected a reward or blocked, and not both"),
        ([FIRST, "--reward", 1, "--by", " a"], "person: expected one line of text"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, run: Run, arguments: list[object], sentence: str
) -> None:
    folder = played(tmp_path, asking(server), episodes)
    status, _, err = run("verdict", folder.root, *arguments)
    assert status == 1 and err.startswith("rl-loop: ") and err.count("\n") == 1 and sentence in err, err
    assert not (folder.stage_dir(1, Stage.JUDGE) / HUMAN).exists()


def test_training_refuses_a_damaged_file_and_leaves_shuffled_rewards_alone(tmp_path: Path) -> None:
    shuffled = Verdict(trajectory_id="t-m0", reward=0.0, judge="shuffled")
    write_verdicts(tmp_path, [shuffled, Verdict(trajectory_id="t-m1", reward=0.0, judge="answer")])
    for name in ("t-m0", "t-m1", "never-judged"):
        append_human(tmp_path / HUMAN, decision(name))
    trained = read_for_training(tmp_path / VERDICTS)
    assert {name: one.judge for name, one in trained.items()} == {"t-m0": "shuffled", "t-m1": "human"}
    (tmp_path / HUMAN).write_text("{}\n")
    with pytest.raises(BadInput, match=r"human\.jsonl: line 1 is no verdict"):
        read_for_training(tmp_path / VERDICTS)
