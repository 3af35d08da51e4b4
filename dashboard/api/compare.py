"""Routes that compare: rollouts side by side, two iterations task by task, judges against people."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from agent.types import AgentAction
from dashboard.api.evidence import replay_at
from dashboard.api.models import RolloutView
from dashboard.api.rollouts import row_of
from dashboard.api.service import Service
from dashboard.database.comparing import Side, Tally, confusion, overruled, tallies, undecided
from dashboard.store import NotFound
from dashboard.views import Replay, StepView, View

MOST_MEMBERS = 8
Change = Literal["won", "lost", "same", "only_a", "only_b"]


class ComparedStep(View):
    """One turn of a member, without marks and tokens."""

    index: int
    url: str
    title: str
    picture: str | None
    """sha256 of the screenshot."""
    text: str
    """The model's text."""
    action: AgentAction | None
    feedback: str

    @classmethod
    def of(cls, step: StepView) -> "ComparedStep":
        """From a turn of a replay."""
        seen = step.observation
        return cls(
            index=step.index,
            url=seen.url,
            title=seen.title,
            picture=seen.screenshot.sha256 if seen.screenshot else None,
            text=step.completion.text if step.completion else "",
            action=step.action,
            feedback=step.feedback,
        )


class Member(View):
    """One of the rollouts that are compared."""

    rollout: RolloutView
    steps: list[ComparedStep]


class GroupComparison(View):
    """Rollouts side by side."""

    members: list[Member]
    differs: int | None
    """Index of the first step at which not all members did the same; None: they never differ."""


class TaskChange(View):
    """One task on both sides."""

    task_id: str
    change: Change
    """`won`: the success rate of B is higher than that of A; `lost`: lower."""
    judged_a: int
    successes_a: int
    rollout_a: str
    judged_b: int
    successes_b: int
    rollout_b: str


class IterationComparison(View):
    """Two iterations task by task, those that changed first."""

    counts: dict[Change, int]
    tasks: list[TaskChange]


class ConfusionCell(View):
    """Number of rollouts with this verdict of the judge and of the person."""

    judge: bool | None
    person: bool
    rollouts: int


class JudgesView(View):
    """Judges against people, and the rollouts that a person should settle."""

    confusion: list[ConfusionCell]
    overruled: list[RolloutView]
    undecided: list[RolloutView]


def compare_router(service: Service) -> APIRouter:
    """Routes below /api/compare, and /api/judges."""
    router = APIRouter(prefix="/api", tags=["compare"])

    @router.get("/compare/rollouts")
    def compare_rollouts(id: Annotated[list[str], Query(min_length=2, max_length=MOST_MEMBERS)]) -> GroupComparison:
        """Returns two to eight rollouts step by step, with the first step at which they differ."""
        members = [_member(service, one) for one in dict.fromkeys(id)]
        return GroupComparison(members=members, differs=first_difference([member.steps for member in members]))

    @router.get("/compare/iterations")
    def compare_iterations(
        run_a: Annotated[str, Query(max_length=128)],
        iteration_a: Annotated[int, Query(ge=0, le=999_999)],
        run_b: Annotated[str, Query(max_length=128)],
        iteration_b: Annotated[int, Query(ge=0, le=999_999)],
        stage: Literal["rollout", "evaluate"] = "evaluate",
    ) -> IterationComparison:
        """Returns how each task's success changed from A to B. A and B may be iterations of different runs."""
        with service.database.read() as session:
            old = tallies(session, Side(run_a, iteration_a, stage))
            new = tallies(session, Side(run_b, iteration_b, stage))
        tasks = [_change(task, old.get(task), new.get(task)) for task in sorted(old.keys() | new.keys())]
        order: list[Change] = ["lost", "won", "only_a", "only_b", "same"]
        counts = {kind: sum(task.change == kind for task in tasks) for kind in order}
        return IterationComparison(counts=counts, tasks=sorted(tasks, key=lambda task: order.index(task.change)))

    @router.get("/judges")
    def judges() -> JudgesView:
        """Returns how judges and people agree, and what a person should settle."""
        with service.database.read() as session:
            cells = [ConfusionCell(judge=judge, person=person, rollouts=n) for judge, person, n in confusion(session)]
            lists = [[RolloutView.of(row) for row in rows(session)] for rows in (overruled, undecided)]
        return JudgesView(confusion=cells, overruled=lists[0], undecided=lists[1])

    return router


def first_difference(members: list[list[ComparedStep]]) -> int | None:
    """Index of the first step at which the actions differ, or at which some have ended; None if there is none."""
    for index in range(max(map(len, members), default=0)):
        actions = [steps[index].action if index < len(steps) else "ended" for steps in members]
        if any(action != actions[0] for action in actions):
            return index
    return None


def _member(service: Service, rollout_id: str) -> Member:
    with service.database.read() as session:
        view = RolloutView.of(row_of(session, rollout_id))
    replay = _replay(service, rollout_id)
    return Member(rollout=view, steps=[ComparedStep.of(step) for step in replay.steps] if replay else [])


def _replay(service: Service, rollout_id: str) -> Replay | None:
    """The replay; None for a rollout without a step."""
    try:
        return replay_at(service, rollout_id, around=0)  # marks are not compared
    except NotFound:
        return None


def _change(task_id: str, old: Tally | None, new: Tally | None) -> TaskChange:
    a, b = old or Tally(0, 0, ""), new or Tally(0, 0, "")
    change: Change
    if old is None or new is None:
        change = "only_b" if old is None else "only_a"
    else:
        before, after = a.successes * b.judged, b.successes * a.judged  # rates over one denominator
        change = "same" if before == after else "won" if after > before else "lost"
    return TaskChange(
        task_id=task_id, change=change,
        judged_a=a.judged, successes_a=a.successes, rollout_a=a.newest,
        judged_b=b.judged, successes_b=b.successes, rollout_b=b.newest,
    )  # fmt: skip
