"""Step advantages: steps of a group that began at the same page, and what the same page is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.types import Step
from browser_service.models import Mark, Observation, Screenshot, Viewport
from browser_service.models.observation import Box
from training.algorithms.step_groups import Walk, step_advantages
from training.sampling.anchors import anchor_of

walks = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.lists(st.sampled_from("abcd"), min_size=1, max_size=6)).map(
        lambda drawn: Walk(*drawn)
    ),
    min_size=2,
    max_size=6,
)


def test_a_success_and_a_failure_that_part_after_the_first_page() -> None:
    group = [Walk(1.0, "ab"), Walk(0.0, "ac")]
    found = step_advantages(group, discount=0.5, scale="none", epsilon=1e-4)
    assert [one.tolist() for one in found] == [[0.25, 0.0], [-0.25, 0.0]]
    scaled = step_advantages(group, discount=0.5, scale="std", epsilon=1e-12)
    assert scaled[0] == pytest.approx([0.5**0.5, 0]) and scaled[1] == pytest.approx([-(0.5**0.5), 0])


def test_a_detour_back_to_the_same_page_costs() -> None:
    """a, b, a, done and a, done: the returns at `a` are 0.25, 1 and 1 with a discount of 0.5; their mean is 0.75."""
    slow, quick = step_advantages([Walk(1.0, "aba"), Walk(1.0, "a")], discount=0.5, scale="none", epsilon=1e-4)
    assert slow.tolist() == [-0.5, 0.0, 0.25] and quick.tolist() == [0.25]


@given(walks, st.floats(0.5, 1), st.sampled_from(["std", "none"]))
def test_steps_of_one_page_sum_to_zero_and_are_finite(group: list[Walk], discount: float, scale: str) -> None:
    found = step_advantages(group, discount=discount, scale=scale, epsilon=1e-4, min_std=0.05)  # ty: ignore[invalid-argument-type]
    sums: dict[object, float] = {}
    for walk, advantages in zip(group, found, strict=True):
        assert np.isfinite(advantages).all() and len(advantages) == len(walk.anchors)
        for anchor, advantage in zip(walk.anchors, advantages, strict=True):
            sums[anchor] = sums.get(anchor, 0.0) + advantage
    assert all(abs(total) < 1e-6 for total in sums.values())
    backwards = step_advantages(group[::-1], discount=discount, scale=scale, epsilon=1e-4, min_std=0.05)  # ty: ignore[invalid-argument-type]
    assert all(a == pytest.approx(b, abs=1e-9) for a, b in zip(found, backwards[::-1], strict=True))


def step(**changes: object) -> Step:
    seen = {
        "url": "http://127.0.0.1:8000/flights?day=3#top",
        "title": "",
        "viewport": Viewport(),
        "ax_tree": "button ok",
    }
    return Step(index=0, observation=Observation.model_validate(seen | changes), completion=None, action=None)


def test_the_same_page_has_the_same_address_and_tree() -> None:
    anchor = anchor_of(step(), "page")
    assert anchor == anchor_of(step(url="http://127.0.0.1:9999/flights?day=3#top"), "page"), "only the port differs"
    assert anchor == anchor_of(step(title="another"), "page")
    assert len({anchor, anchor_of(step(ax_tree="button no"), "page"), anchor_of(step(url="http://a/"), "page")}) == 3


def test_without_a_tree_the_marks_are_compared_and_without_both_nothing_is_equal() -> None:
    box = Box(x=0, y=0, width=1, height=1)
    marked = [step(ax_tree=None, marks=[Mark(id=1, role="button", name=name, box=box)]) for name in ("ok", "ok", "no")]
    first, second, third = (anchor_of(one, "page") for one in marked)
    assert first == second != third
    assert anchor_of(step(ax_tree=None), "page") is None


@pytest.mark.parametrize("change", [{"value": "Ada"}, {"checked": True}, {"options": ["one"]}])
def test_a_form_that_is_filled_in_is_another_page(change: dict[str, Any]) -> None:
    """A single-page application keeps its address: without this, steps of different progress would be compared."""
    marks = [
        Mark.model_validate(
            {"id": 1, "role": "textbox", "name": "name", "box": Box(x=x, y=0, width=1, height=1)} | more
        )
        for x, more in ((0, {}), (9, {}), (0, change))
    ]
    empty, moved, filled = (anchor_of(step(ax_tree=None, marks=[mark]), "page") for mark in marks)
    assert empty == moved != filled


def test_a_screenshot_is_compared_by_its_bytes_and_a_hostile_address_is_only_text() -> None:
    picture = Screenshot(sha256="ab", media_type="image/png", width=1, height=1)
    assert anchor_of(step(screenshot=picture), "screenshot") == "ab"
    assert anchor_of(step(), "screenshot") is None
    assert anchor_of(step(url="http://[::1/\ud83d"), "page") is not None
