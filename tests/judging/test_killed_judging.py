"""Judging that is killed again and again, by models that are busy, broken, talk nonsense, or never answer."""

import multiprocessing
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from judge_server import JudgeServer, Question, Said, yes
from judging_process import CONCURRENCY, MODELS, judge

from agent.verdict import Verdict
from judging.opening import ANSWERS
from judging.verdicts import is_final, read_verdict_file
from storage.verdicts import read_verdicts

Asked = tuple[str, str]
"""Id of the episode, and the model; or `panel`."""
NOW = {"retry-after": "0"}
PROCESSES = multiprocessing.get_context("forkserver")
"""A server that has imported everything once, and forks: each process begins at once."""
PROCESSES.set_forkserver_preload(["judging_process"])
DEADLINE_S = 540.0
"""Longest time for all processes together, on a busy machine too."""


def asked_for(question: Question) -> Asked:
    found = re.search(r"lamp (\d+) costs", question.text)
    assert found
    return f"t.1-m{found[1]}", question.model


class Troubled:
    """Answers 10 % with 429, 10 % with 500, 10 % with garbage, 5 % never, and one tenth of the rest without confidence."""

    def __init__(self, seed: int) -> None:
        self.paid: Counter[Asked] = Counter()
        """Complete last replies, each of which decides its episode."""
        self._dice, self._lock = random.Random(seed), threading.Lock()

    def __call__(self, question: Question) -> Said:
        with self._lock:
            fate, unsure = self._dice.random(), self._dice.random() < 0.1
            if fate >= 0.35 and question.form == "Facts":
                self.paid[asked_for(question)] += 1
        if fate < 0.1:
            return Said("", status=429, headers=NOW)
        if fate < 0.2:
            return Said("", status=500, headers=NOW)
        if fate < 0.3:
            return Said('{"call": "the page says it')
        if fate < 0.35:
            return Said(yes(question), after_s=2.0)  # twice as long as the judge waits
        confidence = {"confidence": "low"} if unsure and question.sure else {}
        return Said(yes(question, **confidence), after_s=0.01)


@pytest.mark.parametrize(
    ("points", "episodes"), [(3, 8), pytest.param(20, 160, marks=pytest.mark.chaos)], ids=["3 points", "20 points"]
)
def test_every_episode_ends_judged_and_none_is_paid_for_twice(
    tmp_path: Path, server: JudgeServer, points: int, episodes: int
) -> None:
    troubled, dice = Troubled(7), random.Random(points)
    server.answer = troubled
    path, until = tmp_path / ANSWERS, time.monotonic() + DEADLINE_S
    decided: dict[Asked, Verdict] = {}
    killed = 0
    for point in range(points + 1):
        before = len(server.questions)
        enough = before + dice.randrange(1, 3 * episodes // points) if point < points else 1 << 30
        process = PROCESSES.Process(target=judge, args=(tmp_path, server.url, episodes))
        process.start()
        while process.is_alive() and len(server.questions) < enough:
            assert time.monotonic() < until, "judging did not end in time"
            time.sleep(0.002)
        killed += process.is_alive()
        process.kill()
        process.join(10)
        asked = {asked_for(question) for question in server.questions[before:]}
        assert not asked & set(decided), "a stored verdict is not asked for again"
        assert not {name for name, _ in asked} & {name for name, judge in decided if judge == "panel"}
        now = {_identity(one): one for one in read_verdict_file(path) if is_final(one)}
        assert {each: now[each] for each in decided} == decided, "no stored verdict is lost or changed"
        decided = now
    assert (process.exitcode, killed) == (0, points)

    verdicts = read_verdicts(tmp_path)
    assert [one.trajectory_id for one in verdicts] == [f"t.1-m{n}" for n in range(episodes)]
    assert {(one.judge, one.reward) for one in verdicts} == {("panel", 1.0)}
    assert {one.model for one in verdicts} == set(MODELS), "some are decided by the strong judge, not all"
    # A reply on its way at the moment of a kill is lost; every other one is paid for once.
    members = {each for each in decided if each[1] in MODELS}
    assert members <= set(troubled.paid)
    assert troubled.paid.total() - len(members) <= points * CONCURRENCY * len(MODELS)


def _identity(verdict: Verdict) -> Asked:
    return verdict.trajectory_id, "panel" if verdict.judge == "panel" else verdict.model
