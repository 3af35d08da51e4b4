"""Observations and actions of a Gymnasium agent, without a browser."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from agent.gym.spaces import (
    MARKS_LENGTH,
    ActionText,
    AnyText,
    click,
    observation_space,
    read_marks,
    say,
    seen,
    turn_of,
)
from agent.types import Answer
from browser_service.models import Box, ClickCoords, ClickId, Mark, Observation, TypeText, Viewport

VIEWPORT = Viewport(width=40, height=32)


def picture(mode: str = "RGBA") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (VIEWPORT.width, VIEWPORT.height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def page(marks: list[Mark], url: str = "http://127.0.0.1/") -> Observation:
    return Observation(url=url, title="", viewport=VIEWPORT, marks=marks)


def mark(number: int, name: str = "übermäßig 注文 🦊") -> Mark:
    return Mark(id=number, role="button", name=name, box=Box(x=1, y=2.5, width=3, height=4))


def test_pages_of_all_scripts_are_in_the_space() -> None:
    marks = [mark(1), mark(2, 'a "quoted"\nname')]
    found = seen("点击 “确定”", page(marks), picture())
    assert found in observation_space(VIEWPORT)
    assert found["screenshot"].tolist() == np.full((32, 40, 3), [0, 128, 128]).tolist()
    assert read_marks(found["marks"]) == marks


def test_what_is_too_long_for_the_space_is_shortened_and_still_reads() -> None:
    marks = [mark(number, "x" * 200) for number in range(5_000)]
    found = seen("g" * 100_000, page(marks, url="data:," + "u" * 100_000), picture("L"))
    assert found in observation_space(VIEWPORT)
    kept = read_marks(found["marks"])
    assert MARKS_LENGTH / 3 < len(found["marks"]) <= MARKS_LENGTH and kept == marks[: len(kept)]


def test_random_actions_are_clicks_on_the_page_and_follow_the_seed() -> None:
    space, same = ActionText(VIEWPORT), ActionText(VIEWPORT)
    space.seed(3), same.seed(3)
    said = [space.sample() for _ in range(200)]
    assert said == [same.sample() for _ in range(200)] and all(one in space for one in said)
    actions = [turn_of(one).action for one in said]
    assert {type(action) for action in actions} == {ClickCoords}
    points = [(action.x, action.y) for action in actions if isinstance(action, ClickCoords)]
    assert len(set(points)) > 100 and {True} == {0 <= x < 40 and 0 <= y < 32 for x, y in points}
    with pytest.raises(ValueError, match="no mask"):
        space.sample(mask=(3, None))


@pytest.mark.parametrize("action", [ClickId(id=3), TypeText(value='ß"\n\x00🦊'), Answer(text="42 €")])
def test_an_action_is_said_and_understood(action: ClickId | TypeText | Answer) -> None:
    assert say(action) in ActionText(VIEWPORT)
    assert turn_of(say(action)).action == turn_of(action).action == action


def test_a_point_is_clicked() -> None:
    assert turn_of(click(3, 4.5)).action == ClickCoords(x=3, y=4.5)


def test_nothing_that_an_agent_says_breaks_the_reader() -> None:
    rng = random.Random(0)
    pieces = [
        "{",
        "}",
        '"kind"',
        ":",
        '"click_id"',
        ",",
        '"id"',
        "3",
        "-1e999",
        "[",
        "]",
        "null",
        "\x00",
        "\ud800",
        "\\u",
        "NaN",
    ]
    for _ in range(3_000):
        turn = turn_of("".join(rng.choices(pieces, k=rng.randrange(12))))
        assert (turn.action is None) == bool(turn.format_error)


def test_lengths_count() -> None:
    space = AnyText(3, min_length=1)
    assert [text in space for text in ("", "a", "äöü", "abcd")] == [False, True, True, False]
    assert 3 not in space and str(space) == "AnyText(1, 3)" and not space.is_np_flattenable
