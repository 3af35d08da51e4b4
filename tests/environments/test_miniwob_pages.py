"""MiniWoB++ in real browsers: solvable by clicks on marks, seeded, judged by itself and never by its clock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from agent.types import Answer, Site, Split, StopReason, Task, Trajectory
from browser_service.client import Browser
from browser_service.models import (
    Action,
    ClickId,
    Mark,
    Observation,
    Observe,
    ObserveRequest,
    Reload,
    Sleep,
    VisitPage,
)
from environments.base import SEEDS
from environments.miniwob import MiniWob
from environments.miniwob.families import BEYOND, FAMILIES

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

SCRIPTED = [
    pytest.param(family.name, marks=pytest.mark.chaos if family in BEYOND else ())
    for family in FAMILIES.values()
    if family.is_scripted
]
HIDDEN = ("guess-number",)
"""Families whose page looks the same for all seeds."""
MINIWOB_TIME_LIMIT_S = 10.0  # what core.js starts with; click-test does not set its own
NO_PICTURE = ObserveRequest(screenshot=False, text=True)

Play = Callable[[Browser, Task, Site, str, Observation], Awaitable[None]]


async def play(miniwob: MiniWob, browser: Browser, task: Task, act: Play) -> Trajectory:
    """Opens the task, lets `act` do something, and returns the recorded end."""
    async with miniwob.serve(task, trajectory_id="t1") as site:
        opened = await browser.step(VisitPage(url=site.start_url), NO_PICTURE)
        assert opened.error is None
        goal = await site.goal()
        if not opened.observation.settled:  # as the episode loop does
            opened = await browser.step(Observe(), NO_PICTURE)
        await act(browser, task, site, goal, opened.observation)
        return Trajectory(
            id="t1", task=task, goal=goal, group="g", member=0, iteration=1, steps=(), stop=StopReason.DONE,
            final_state=await site.final_state(),
        )  # fmt: skip


def solution(miniwob: MiniWob, task: Task, goal: str, observation: Observation, step: int = 0) -> Action:
    """The scripted action, which in MiniWoB++ is always one for the browser."""
    action = miniwob.solve(task, goal, observation, step=step)
    assert not isinstance(action, Answer)
    return action


async def nothing(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
    """Only looks."""
    await browser.step(Observe())


async def in_lanes(browsers: Sequence[Browser], miniwob: MiniWob, tasks: Sequence[Task], act: Play) -> list[Trajectory]:
    """Plays one task in each browser, side by side."""
    return await asyncio.gather(
        *(play(miniwob, browser, task, act) for browser, task in zip(browsers, tasks, strict=False))
    )


@pytest.mark.parametrize("family", SCRIPTED)
async def test_a_seed_makes_the_task_and_the_scripted_solution_earns_reward_1(
    browsers: list[Browser], miniwob: MiniWob, family: str
) -> None:
    seen: dict[int, tuple[str, list[Mark], str | None]] = {}

    async def solve(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
        seen[browsers.index(browser)] = (goal, observation.marks, observation.text)
        for step in range(task.max_steps):
            action = solution(miniwob, task, goal, observation, step)
            reply = await browser.step(action, NO_PICTURE)
            assert reply.error is None, f"{task.id}: {goal}: {action}: {reply.error}"
            if site.is_over():
                return
            observation = reply.observation

    seeds: list[tuple[int, Split]] = [(5, "train"), (5, "train"), (6, "train"), (1_000_007, "heldout")]
    tasks = [miniwob.task(family, seed, split) for seed, split in seeds]
    for trajectory in await in_lanes(browsers, miniwob, tasks, solve):
        verdict = await miniwob.check(trajectory, trajectory.final_state)
        assert verdict.reward == 1.0, f"{trajectory.task.id}: {trajectory.goal}: {trajectory.final_state}"
    assert seen[0] == seen[1]
    assert seen[0] != seen[2] != seen[3] or family in HIDDEN


RARE = {"phone-book": 0, "drag-items": 4, "email-inbox-forward": 2, "drag-shapes-2": 13}
"""Seeds that draw: names of two words; two mails of one sender; a colour with two names."""
OFFERED = {"use-autocomplete": 17, "use-autocomplete-nodelay": 14}
"""An item that its beginning alone decides; a list of offers whose last one has the end that is wanted."""


@pytest.mark.parametrize("drawn", [RARE, OFFERED])
async def test_pages_that_few_seeds_draw_are_solved(
    browsers: list[Browser], miniwob: MiniWob, drawn: dict[str, int]
) -> None:
    async def solve(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
        for step in range(task.max_steps):
            reply = await browser.step(solution(miniwob, task, goal, observation, step), NO_PICTURE)
            if site.is_over():
                return
            observation = reply.observation

    played = await in_lanes(
        browsers, miniwob, [miniwob.task(family, seed, "train") for family, seed in drawn.items()], solve
    )
    assert {one.task.domain: one.final_state["raw_reward"] for one in played} == dict.fromkeys(drawn, 1.0)


async def test_doing_nothing_is_not_finished(browsers: list[Browser], miniwob: MiniWob) -> None:
    tasks = [
        miniwob.task(family, SEEDS["heldout"].start, "heldout")
        for family in ("click-button", "focus-text", "enter-text")
    ]
    for trajectory in await in_lanes(browsers, miniwob, tasks, nothing):
        assert trajectory.final_state == {"done": False, "raw_reward": None, "utterance": trajectory.goal}
        assert (await miniwob.check(trajectory, trajectory.final_state)).reward == 0.0


async def test_a_wrong_click_ends_with_reward_0_and_nothing_can_undo_it(
    browsers: list[Browser], miniwob: MiniWob
) -> None:
    async def wrong_then_right(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
        right = solution(miniwob, task, goal, observation)
        assert isinstance(right, ClickId)
        name = next(mark.name for mark in observation.marks if mark.id == right.id)
        wrong = next(mark for mark in observation.marks if mark.role == "button" and mark.name != name)
        await browser.step(ClickId(id=wrong.id))
        assert site.is_over()
        await browser.step(right)
        reloaded = await browser.step(Reload())
        await browser.step(solution(miniwob, task, goal, reloaded.observation))

    trajectory = await play(miniwob, browsers[0], miniwob.task("click-dialog-2", 3, "train"), wrong_then_right)
    assert trajectory.final_state["raw_reward"] == -1.0
    assert (await miniwob.check(trajectory, trajectory.final_state)).reward == 0.0


async def test_a_reloaded_page_is_the_same_task(browsers: list[Browser], miniwob: MiniWob) -> None:
    async def reload(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
        reloaded = await browser.step(Reload())
        assert reloaded.observation.marks == observation.marks
        assert await site.goal() == goal

    await play(miniwob, browsers[0], miniwob.task("click-button", 4, "train"), reload)


async def test_the_clock_neither_ends_an_episode_nor_shrinks_its_reward(
    browsers: list[Browser], miniwob: MiniWob
) -> None:
    async def dawdle(browser: Browser, task: Task, site: Site, goal: str, observation: Observation) -> None:
        await browser.step(Sleep(duration=MINIWOB_TIME_LIMIT_S + 0.5))
        assert not site.is_over()
        await browser.step(solution(miniwob, task, goal, observation))

    trajectory = await play(miniwob, browsers[0], miniwob.task("click-test", 4, "train"), dawdle)
    assert trajectory.final_state["raw_reward"] == 1.0
    assert (await miniwob.check(trajectory, trajectory.final_state)).reward == 1.0
