"""Comparisons through the API: rollouts side by side, iterations task by task, judges against people."""

from typing import Any

import httpx
from acting import play, spawn, upload_miniwob
from hypothesis import given
from hypothesis import strategies as st
from stored_run import BROKEN, FAIL, SUCCESS, pictures, trajectory, write_verdicts

from agent.verdict import Verdict
from browser_service.models import ClickId
from dashboard.api.compare import ComparedStep, first_difference
from dashboard.api.service import Service
from dashboard.index.scanning import Scanner
from storage.store import TrajectoryStore


async def get(client: httpx.AsyncClient, address: str) -> Any:
    reply = await client.get(address)
    assert reply.status_code == 200, reply.text
    return reply.json()


def step(mark: int) -> ComparedStep:
    """A turn that clicks a mark."""
    return ComparedStep(index=0, url="", title="", picture=None, text="", action=ClickId(id=mark), feedback="")


@given(st.lists(st.lists(st.integers(1, 3), max_size=5), min_size=2, max_size=5))
def test_members_are_the_same_before_the_first_difference_and_not_at_it(marks: list[list[int]]) -> None:
    found = first_difference([[step(mark) for mark in one] for one in marks])
    if found is None:
        assert all(one == marks[0] for one in marks)
    else:
        assert len({tuple(one[:found]) for one in marks}) == 1
        assert len({tuple(one[: found + 1]) for one in marks}) > 1


async def test_rollouts_side_by_side_with_the_first_step_that_differs(
    acting: httpx.AsyncClient, service: Service
) -> None:
    Scanner(service.runs, service.database).scan()
    ids = [f"demo:0001:rollout:{name}" for name in (SUCCESS, FAIL)]
    same = await get(acting, f"/api/compare/rollouts?id={ids[0]}&id={ids[1]}")
    assert same["differs"] is None and [len(one["steps"]) for one in same["members"]] == [2, 2]
    assert [one["rollout"]["id"] for one in same["members"]] == ids
    for wrong, status in ((f"id={ids[0]}", 422), ("id=none&id=other", 404), ("&".join(["id=x"] * 9), 422)):
        assert (await acting.get(f"/api/compare/rollouts?{wrong}")).status_code == status


async def test_tasks_that_changed_between_two_iterations_come_first(
    acting: httpx.AsyncClient, service: Service
) -> None:
    stage = service.settings.runs / "demo/iterations/0002/evaluate"
    again = "e0002-click-test.1000001-m00"
    TrajectoryStore(stage).write(trajectory(again, "click-test", iteration=2), pictures())
    write_verdicts(stage, Verdict(trajectory_id=again, reward=1.0, judge="miniwob"))
    Scanner(service.runs, service.database).scan()
    found = await get(acting, "/api/compare/iterations?run_a=demo&iteration_a=0&run_b=demo&iteration_b=2")
    assert found["counts"] == {"lost": 0, "won": 1, "only_a": 0, "only_b": 0, "same": 0}
    [task] = found["tasks"]
    assert (task["task_id"], task["successes_a"], task["successes_b"]) == ("click-test.1000001", 0, 1)
    assert (await acting.get(f"/api/rollouts/{task['rollout_b']}")).status_code == 200
    back = await get(acting, "/api/compare/iterations?run_a=demo&iteration_a=2&run_b=demo&iteration_b=0")
    assert back["counts"]["lost"] == 1
    none = await get(acting, "/api/compare/iterations?run_a=demo&iteration_a=0&run_b=none&iteration_b=0")
    assert none["counts"]["only_a"] == 1


async def test_judges_against_people_and_what_is_left_to_settle(acting: httpx.AsyncClient, service: Service) -> None:
    await upload_miniwob(acting)
    [wrong] = await spawn(acting)
    play(service, reward=0.0)
    [open_one] = await spawn(acting)
    play(service, reward=None)
    found = await get(acting, "/api/judges")
    assert [row["id"] for row in found["undecided"]] == [open_one["id"]] and found["confusion"] == []
    for one in (wrong, open_one):
        await acting.post(f"/api/rollouts/{one['id']}/verdict", json={"success": True})
    found = await get(acting, "/api/judges")
    cells = {(cell["judge"], cell["person"]): cell["rollouts"] for cell in found["confusion"]}
    assert cells == {(False, True): 1, (None, True): 1} and found["undecided"] == []
    assert [row["id"] for row in found["overruled"]] == [wrong["id"]]
    assert BROKEN not in str(found)
