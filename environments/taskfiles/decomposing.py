"""Decomposes a task by the groups of its rubric: every group becomes an easier task with the same start.

The rule is WebGym's (arXiv 2601.02439): a task is decomposed if it has two groups of facts or more, and one of them has
three facts or more. WebGym lets a model word the parts; here a part is the goal with the description of its group.
"""

import hashlib
import re

from agent.types import Task

GROUPED = re.compile(r"\[Group [^:\]]*: (?P<group>[^\]]+)\] \S")
"""A fact of a group, as `environments.taskfiles.webgym.facts_of` writes it: `[Group 1: the flight] It leaves at 9.`"""
LONGEST_ID = 128
PART_OF = "part_of"
"""Label of a part: the id of the task that it was made of."""


def groups_of(task: Task) -> dict[str, tuple[str, ...]]:
    """The facts of a task's rubric by the description of their group, in their order; those of no group are left out."""
    groups: dict[str, tuple[str, ...]] = {}
    for fact in task.rubric:
        if (found := GROUPED.match(fact)) is not None:
            groups[found["group"]] = (*groups.get(found["group"], ()), fact)
    return groups


def parts_of(task: Task, *, least_facts: int = 3) -> list[Task]:
    """The parts of a task; none if it is too small, or nobody can do it.

    `least_facts`: facts of the largest group. A part is as difficult as it has facts. It keeps split, step budget and
    judges, but no expected answer, since that is the whole task's. Facts are not put into the goal: they tell the answer.
    """
    groups = groups_of(task)
    if task.canary or PART_OF in task.labels or len(groups) < 2 or max(map(len, groups.values())) < least_facts:
        return []
    return [
        task.model_copy(
            update={
                "id": _id_of(task.id, number),
                "goal": f"{task.goal}\nDo only this part of it: {group}",
                "difficulty": len(facts),
                "reference_answer": None,
                "expect": None,
                "rubric": facts,
                "labels": task.labels | {PART_OF: task.id},
            }
        )
        for number, (group, facts) in enumerate(groups.items(), start=1)
    ]


def _id_of(whole: str, number: int) -> str:
    """Id of a part. That of a long id has a digest in place of its end."""
    suffix = f".part{number}"
    if len(whole) + len(suffix) <= LONGEST_ID:
        return whole + suffix
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return f"{whole[: LONGEST_ID - len(suffix) - 17]}-{digest}{suffix}"
