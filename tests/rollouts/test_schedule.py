"""The scheduling of one shard as events and decisions, without an event loop."""

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.types import Failure, Task
from rollouts.config import RolloutConfig
from rollouts.plan import Group
from rollouts.schedule import Begin, Extend, Next, Schedule


def groups_of(count: int, members: int, name: str = "g") -> list[Group]:
    tasks = (Task(id=f"{name}{number}", environment="x", domain="d") for number in range(count))
    return [Group(group=f"i0001-{task.id}", members=members, task=task) for task in tasks]


def failure(code: str) -> Failure:
    return Failure(side="infra", code=code, message="on purpose", retryable=True)


def schedule_of(**settings: object) -> Schedule:
    config = RolloutConfig.model_validate({"shards": 1, "concurrency": 3, **settings})
    return Schedule(config, 0, is_own_model=True, patience_s=0)


def begun(schedule: Schedule, **arguments: object) -> list[str]:
    """Carries out decisions until there is none; returns the ids of the begun episodes."""
    names = []
    while isinstance(decision := schedule.decide(has_room=True), Begin):
        names.append(decision.episode.trajectory_id)
    assert decision is None
    return names


@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(1, 6),
    members=st.integers(1, 4),
    slots=st.integers(1, 5),
    stored=st.integers(0, 6),
    codes=st.lists(st.sampled_from([None, None, None, "BROWSER_CRASHED", "NO_CAPACITY"]), max_size=60),
)
def test_every_missing_episode_is_played_once_and_never_more_than_there_are_slots(
    seed: int, groups: int, members: int, slots: int, stored: int, codes: list[str | None]
) -> None:
    rng, schedule = random.Random(seed), schedule_of(concurrency=slots, max_attempts=2)
    planned = groups_of(groups, members)
    names = [name for group in planned for name in group.names()]
    done = set(names[:stored])
    schedule.begin_stage(1, planned, done=done, threshold=1.0)
    seen: list[str] = []
    kept: list[str] = []
    while not schedule.is_over:
        seen += begun(schedule)
        assert 0 < len(schedule.running) <= slots
        assert len(schedule.running) == slots or not schedule.queued, "a slot idles while episodes wait"
        name = rng.choice(sorted(schedule.running))
        code = codes.pop() if codes else None
        answer = schedule.attempted(name, failure(code) if code else None, now=0)
        if answer is Next.KEEP:
            assert schedule.stored(name[:-4], name, reward=None, is_whole=code is None) is None
            kept.append(name)
            schedule.ended(name)
        assert answer in (Next.KEEP, Next.AGAIN)
    assert sorted(seen) == sorted(kept) == sorted(set(names) - done)
    assert not schedule.running and not schedule.unfinished()


def test_after_a_lost_service_nothing_begins_until_the_next_round() -> None:
    schedule, planned = schedule_of(), groups_of(2, 3)
    schedule.begin_stage(1, planned, done=(), threshold=1.0)
    first, *others = begun(schedule)
    assert schedule.attempted(first, failure("MODEL_GONE"), now=0) is Next.LOST
    schedule.ended(first)
    assert schedule.is_over and schedule.lost == "MODEL_GONE: on purpose" and begun(schedule) == []
    for name in others:
        assert schedule.stored(planned[0].group, name, reward=1.0, is_whole=True) is None
        schedule.ended(name)
    schedule.end_stage()
    schedule.begin_stage(1, planned, done=others, threshold=1.0)
    assert begun(schedule) == [first, *planned[1].names()[:2]]


def test_a_carried_over_episode_is_not_begun_a_second_time() -> None:
    schedule, planned = schedule_of(), groups_of(2, 2)
    schedule.begin_stage(1, planned, done=(), threshold=0.5)
    names = begun(schedule)
    for name in names[:2]:
        schedule.attempted(name, None, now=0)
        schedule.stored(planned[0].group, name, reward=1.0, is_whole=True)
        schedule.ended(name)
    assert schedule.is_over and schedule.running == {names[2]}
    schedule.end_stage()
    carried = planned[1].model_copy(update={"iteration": 1})
    schedule.begin_stage(2, [carried], done=(), threshold=1.0)
    assert begun(schedule) == [carried.names()[1]], "the other one still runs"


def test_groups_ahead_and_replacements_are_asked_for_when_their_turn_comes() -> None:
    schedule, (only,) = schedule_of(ahead=1, replace_zero_signal=1), groups_of(1, 2)
    schedule.begin_stage(1, [only], done=(), threshold=1.0, extends=("ahead", "replacement"))
    assert [schedule.decide(has_room=False), type(schedule.decide(has_room=True))] == [None, Begin]
    assert isinstance(schedule.decide(has_room=True), Begin)
    assert schedule.decide(has_room=True) == Extend(1, "ahead")
    (ahead,) = groups_of(1, 2, "a")
    assert schedule.extended([ahead.model_copy(update={"extra": "ahead"})]) == 2
    assert begun(schedule) == ahead.names()[:1], "three slots"
    first, second = only.names()
    assert schedule.stored(only.group, first, reward=1.0, is_whole=True) is None
    assert schedule.stored(only.group, second, reward=1.0, is_whole=True) == Extend(1, "replacement")
    schedule.cannot_extend()
    schedule.ended(first), schedule.ended(second)
    assert begun(schedule) == ahead.names()[1:] and not schedule.queued


def test_the_configuration_is_at_fault_after_some_refusals_in_a_row() -> None:
    schedule = schedule_of(concurrency=8)
    schedule.begin_stage(1, groups_of(2, 4), done=(), threshold=1.0)
    names = begun(schedule)
    refused = Failure(side="policy", code="MODEL_REFUSED", message="no", retryable=False)
    answers = [schedule.attempted(name, refused, now=0) for name in names[:4]]
    assert answers == [Next.KEEP] * 3 + [Next.LOST] and schedule.lost == "MODEL_REFUSED: no"
