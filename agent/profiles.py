"""Differences between families of models: coordinate grid, syntax of an action, thinking, cost of a picture."""

import math
from typing import Literal, NamedTuple

ProfileName = Literal["generic", "qwen3-instruct", "qwen3-think"]


class PictureRule(NamedTuple):
    """Prompt tokens of a picture: one per `cell` x `cell` pixels, after its area is scaled into the bounds."""

    cell: int
    """Side of the square that becomes one token, in pixels: patch size times merge size."""
    least: int
    most: int
    """Bounds of the area in pixels; smaller pictures are enlarged, larger ones shrunk, in whole cells."""
    around: int = 2
    """Tokens that mark begin and end of a picture."""

    def tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels. Same arithmetic as `smart_resize` of transformers' Qwen2-VL."""
        across, down = _cells(width, self.cell), _cells(height, self.cell)
        if across * down * self.cell**2 > self.most:
            shrink = math.sqrt(width * height / self.most)
            across = max(1, math.floor(width / shrink / self.cell))
            down = max(1, math.floor(height / shrink / self.cell))
        elif across * down * self.cell**2 < self.least:
            grow = math.sqrt(self.least / (width * height))
            across, down = math.ceil(width * grow / self.cell), math.ceil(height * grow / self.cell)
        return across * down + self.around


class Profile(NamedTuple):
    """Prompt and reply conventions of a model family. Example: `PROFILES["qwen3-instruct"].grid == 1000`."""

    name: ProfileName
    grid: int
    """Points go from 0 to this over the picture's width and height."""
    syntax: Literal["call", "tool_call"]
    """An action is written `click(3)`, or as JSON between `<tool_call>` and `</tool_call>`."""
    thinks: bool
    """True if a reply begins with thinking that ends at `</think>`."""
    picture: PictureRule


QWEN3_VL = PictureRule(cell=32, least=256 * 256, most=4_096 * 4_096)
"""The published Qwen3-VL processors: patches of 16 pixels, merged two by two."""
DENSE = PictureRule(cell=28, least=56 * 56, most=28 * 28 * 16_384)
"""The densest rule in use (Qwen2-VL; InternVL's tiles cost the same): an unknown model is unlikely to need more."""

PROFILES: dict[ProfileName, Profile] = {
    "generic": Profile("generic", grid=1_000, syntax="call", thinks=False, picture=DENSE),
    "qwen3-instruct": Profile("qwen3-instruct", grid=1_000, syntax="tool_call", thinks=False, picture=QWEN3_VL),
    "qwen3-think": Profile("qwen3-think", grid=1_000, syntax="tool_call", thinks=True, picture=QWEN3_VL),
}


def _cells(length: int, cell: int) -> int:
    """Nearest number of whole cells for a length, at least one: half a cell rounds to even, as in Python."""
    return max(1, round(length / cell))
