"""An episode requests marks and the accessibility tree where its configuration uses them."""

from typing import Any

import pytest
from one_page import Goes, Pool, played

from agent.config import AgentConfig

COORDINATES = {"interaction_mode": "coordinates", "prompt": "compact"}


@pytest.mark.parametrize(
    ("settings", "marks", "ax_tree"),
    [
        ({}, True, False),
        (COORDINATES, False, False),
        (COORDINATES | {"ax_tree": True}, False, True),
        ({"interaction_mode": "coordinates"}, True, False),
    ],
)
async def test_elements_and_tree_are_asked_for_where_they_are_used(
    settings: dict[str, Any], marks: bool, ax_tree: bool
) -> None:
    pool = Pool()
    await played(Goes(0, 0), config=AgentConfig.model_validate(settings), pool=pool)
    assert {(one.marks, one.ax_tree) for one in pool.browser.asked} == {(marks, ax_tree)}
