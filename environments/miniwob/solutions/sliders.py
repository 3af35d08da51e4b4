"""Families that are solved with sliders: by drags of the handle, and by arrow keys for the last few values."""

from browser_service.models import Action, DragId, Keypress, Mark, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, describe, marks
from environments.miniwob.solutions.page import below, said, submit

STARTS = (-100, 0, 10, 100)
RANGES = (5, 10, 50, 100)
"""Lowest values of the slider of use-slider, and the differences to its highest ones."""
NEAR = 4
"""Values that are crossed with arrow keys: on a short track a pixel is two values."""
HANDLE_WIDTH, TRACK_WIDTH = 14, 10
ASIDE = 12
"""CSS pixels by which a handle is dragged away that covers the middle of its track, which is then no mark."""
OFF_BY = 0.5
"""Tolerance of a value that is computed from a handle's place."""
THREE_LEFT, THREE_WIDTH, THREE_HIGHEST = 11, 138, 20
"""CSS pixels from the left to the lowest value, and to the highest one, in use-slider-2; its highest value."""


def slider_to_number(goal: str, observation: Observation, step: int) -> Action:
    """`Select 17 with the slider and hit Submit.` The page shows the value, but not where the slider begins and ends."""
    target = int(said(goal, r"Select (-?\d+) with the slider"))
    value = int(below(observation))
    if value == target:
        return submit(observation)
    handle = next(iter(_handles(observation)), None)
    if handle is None:
        raise Unsolvable(f"Expected the handle of a slider, found {describe(observation)}.")
    up = target > value
    if step > 0 and abs(target - value) <= NEAR:
        return Keypress(keys=["ArrowRight" if up else "ArrowLeft"])
    track = next((mark for mark in marks(observation) if min(mark.box.width, mark.box.height) == TRACK_WIDTH), None)
    if track is None:
        return DragId(id=handle.id, dx=ASIDE if up else -ASIDE, dy=-ASIDE if up else ASIDE)
    length = max(track.box.width, track.box.height)
    place = _place(handle, track)
    scales = _scales(value, target, place)
    by = max(-place, min(1 - place, (target - value) / scales[step % len(scales)])) * length
    lies = track.box.width > track.box.height
    return DragId(id=handle.id, dx=by if lies else 0.0, dy=0.0 if lies else -by)


def three_sliders(goal: str, observation: Observation, step: int) -> Action:
    """`Set the sliders to the combination [5,11,10] and submit.` Values from 0 to 20, by the places of the handles."""
    wanted = [int(number) for number in said(goal, r"\[(.+)\]").split(",")]
    for handle, target in zip(_handles(observation), wanted, strict=True):
        middle = handle.box.x + handle.box.width / 2 - THREE_LEFT
        value = round(middle / THREE_WIDTH * THREE_HIGHEST)
        if value != target:
            return DragId(id=handle.id, dx=(target - value) / THREE_HIGHEST * THREE_WIDTH)
    return submit(observation)


def _handles(observation: Observation) -> list[Mark]:
    return [mark for mark in marks(observation) if mark.role not in BUTTONS and mark.box.width == HANDLE_WIDTH]


def _place(handle: Mark, track: Mark) -> float:
    """The handle's place on its track: 0 at the lowest value, 1 at the highest."""
    across = (handle.box.x + handle.box.width / 2 - track.box.x) / track.box.width
    up = 1 - (handle.box.y + handle.box.height / 2 - track.box.y) / track.box.height
    return across if track.box.width > track.box.height else up


def _scales(value: int, target: int, place: float) -> list[int]:
    """The ranges of a slider that shows `value` at this place and can show `target`; all of them if none fits."""

    def fits(first: int, size: int) -> bool:
        return abs(first + place * size - value) < OFF_BY and first <= target <= first + size

    return [size for size in RANGES if any(fits(first, size) for first in STARTS)] or list(RANGES)
