"""Canary tasks: nobody can do them. A judge that calls one a success is wrong about its other verdicts, too."""

from collections.abc import Iterable
from typing import NamedTuple

from agent.verdict import Verdict
from judging.meta.agreement import SUCCESS
from judging.meta.opinions import opinions_of


class Believed(NamedTuple):
    """A judge's success for a task that can't be done. Example: `Believed("rubric", "i0003-canary-1-m00")`."""

    judge: str
    trajectory_id: str


def believed(verdicts: Iterable[Verdict]) -> list[Believed]:
    """The successes among verdicts on canaries, of every judge that was asked, whether it decided or not."""
    return [
        Believed(opinion.judge, verdict.trajectory_id)
        for verdict in verdicts
        for opinion in opinions_of(verdict)
        if opinion.reward is not None and opinion.reward >= SUCCESS
    ]
