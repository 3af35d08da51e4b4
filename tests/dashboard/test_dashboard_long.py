"""A trajectory of many steps: its file has a line per step, and its page fetches the marks of the steps that are looked at."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect
from served_pages import opened_page, served
from stored_run import pictures, trajectory

from agent.types import Trajectory
from dashboard.app import create_app
from dashboard.index.reading import read_slim
from dashboard.stored import open_stored
from dashboard.trajectories import MOST_WHOLE
from storage.step_lines import FIRST_LINE
from storage.store import TRAJECTORY, TrajectoryStore

NAME = "i0001-click-link.77-m00"
STEPS = MOST_WHOLE + 30
PLACE = "/api/runs/demo/iterations/1/rollout/trajectories"


def long_one(steps: int = STEPS) -> Trajectory:
    """A trajectory whose pages have marks, and texts with newlines of all kinds."""
    short = trajectory(NAME, "click-link")
    seen = short.steps[0].observation.model_copy(update={"text": 'a\nb\r\n\u2028,{"steps":[\n', "ax_tree": "\\n"})
    turn = short.steps[0].model_copy(update={"observation": seen, "seconds": {"think": 0.5, "step": 0.5}})
    turns = tuple(turn.model_copy(update={"index": index}) for index in range(steps))
    return short.model_copy(update={"steps": turns, "final_state": {"steps": []}})


@pytest.fixture
def stage(runs: Path) -> Path:
    """A stage with the long trajectory."""
    folder = runs / "demo/iterations/0001/rollout"
    TrajectoryStore(folder).write(long_one(), pictures())
    return folder


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_line_per_step_and_one_line_are_the_same_trajectory(tmp_path: Path, steps: int) -> None:
    store, given = TrajectoryStore(tmp_path), long_one(steps)
    store.write(given, pictures())
    path = tmp_path / NAME / TRAJECTORY
    assert path.read_bytes().startswith(FIRST_LINE) and path.read_bytes().count(b"\n") == 1 + max(1, steps)
    assert store.read(NAME) == given
    check(tmp_path, given)
    path.write_bytes(given.model_dump_json().encode())  # as earlier versions wrote it
    check(tmp_path, given)


def check(stage: Path, given: Trajectory) -> None:
    """The stored trajectory reads as this one, a step at a time and as a row of the index."""
    found, slim, count = open_stored(stage, NAME), read_slim(stage, NAME), len(given.steps)
    assert (found.count, found.head.final_state) == (count, {"steps": []})
    assert tuple(found.steps()) == given.steps and found.step(count) is None
    assert count == 0 or found.step(count - 1) == given.steps[-1]
    assert given.final_observation is not None and given.final_observation.screenshot is not None
    assert (slim.count, slim.picture) == (count, given.final_observation.screenshot.sha256)


async def test_a_long_replay_has_the_marks_beside_the_step_that_is_looked_at(
    client: httpx.AsyncClient, stage: Path
) -> None:
    whole = (await client.get(f"{PLACE}/{NAME}")).json()["steps"]
    folded = (await client.get(f"{PLACE}/{NAME}?around=120")).json()["steps"]
    assert len(whole) == len(folded) == STEPS and not any(step["folded"] for step in whole)
    assert folded[120] == whole[120] and folded[120]["observation"]["marks"]
    assert folded[3]["folded"] and folded[3]["observation"]["marks"] == [] and folded[3]["observation"]["text"] is None
    same = ("index", "begins_at", "completion", "action", "feedback")
    assert [folded[3][key] for key in same] == [whole[3][key] for key in same]
    assert folded[3]["observation"]["screenshot"] == whole[3]["observation"]["screenshot"]
    assert (await client.get(f"{PLACE}/{NAME}/steps?first=3&count=2")).json() == whole[3:5]
    assert (await client.get(f"{PLACE}/{NAME}/steps?first={STEPS}")).json() == []
    assert (await client.get(f"{PLACE}/{NAME}/steps?first=-1")).status_code == 422
    assert (await client.get(f"{PLACE}/{NAME}/steps?count=1000")).status_code == 422


@pytest.mark.browser
async def test_the_page_shows_the_marks_of_a_step_far_away(runs: Path, stage: Path) -> None:
    with served(create_app(runs)) as address:
        async with opened_page(address) as page:
            await page.goto(f"/#/run/demo/1/rollout/{NAME}?step=2")
            await expect(page.get_by_role("button", name=str(STEPS), exact=True)).to_be_visible()
            async with page.expect_response(lambda answer: "/steps?first=100" in answer.url):
                await page.get_by_role("button", name="121", exact=True).click()
            await expect(page.get_by_role("region", name="marks")).to_contain_text("Click the button.")
