"""Marks: the page script's elements as wire types, and their boxes and numbers drawn into a picture (set-of-marks)."""

import math
from io import BytesIO
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from browser_service.models import Mark, ObserveRequest, Viewport

COLOURS = ("#c62828", "#1565c0", "#2e7d32", "#6a1b9a", "#ad5b00", "#00695c", "#ad1457", "#4e342e")


class Seen(NamedTuple):
    """One observation of a document."""

    url: str
    title: str
    marks: list[Mark]
    tags: dict[int, str]
    """HTML tag of each mark, for OmniBoxes' replies."""
    text: str | None
    is_partial: bool
    status: int | None = None
    """HTTP status of the document."""


def read_look(answer: dict[str, Any]) -> Seen:
    """Parses the answer of `look` of the page script."""
    # An overflowing CSS transform makes boxes of Infinity and NaN: such an element gets no mark, the others do.
    placed = [one for one in answer["marks"] if all(map(math.isfinite, one["mark"]["box"].values()))]
    marks = [Mark.model_validate(one["mark"]) for one in placed]
    tags = {one["mark"]["id"]: one["tag"] for one in placed}
    return Seen(answer["url"], answer["title"], marks, tags, answer["text"], answer["partial"], answer.get("status"))


def blank(viewport: Viewport, wanted: ObserveRequest) -> bytes:
    """The picture of a page that has painted nothing."""
    scale = 1.0 if wanted.draw_marks else wanted.scale
    image = Image.new("RGB", (max(1, round(viewport.width * scale)), max(1, round(viewport.height * scale))), "white")
    out = BytesIO()
    image.save(out, "PNG" if wanted.draw_marks else wanted.image_format.upper())
    return out.getvalue()


def draw_marks(picture: bytes, marks: list[Mark], wanted: ObserveRequest) -> bytes:
    """The picture with a numbered box around each mark, encoded as wanted. CPU work: call it in a thread."""
    with Image.open(BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    draw = ImageDraw.Draw(image)
    # Font size: 9 pixels on a page of 160, 13 on one of 1280.
    font = ImageFont.load_default(size=9 if image.width < 400 else 13)
    for mark in marks:
        left, top, right, bottom = _corners(mark, image.size)
        draw.rectangle((left, top, right, bottom), outline=_colour(mark.id), width=1 if image.width < 400 else 2)
    taken: list[tuple[float, float, float, float]] = []
    for mark in marks:  # numbers last, so that no box hides one
        plate = _plate(draw, font, mark, image.size, taken)
        taken.append(plate)
        draw.rectangle(plate, fill=_colour(mark.id))
        draw.text((plate[0] + 1, plate[1]), str(mark.id), fill="white", font=font)
    if wanted.scale < 1:
        smaller = max(1, round(image.width * wanted.scale)), max(1, round(image.height * wanted.scale))
        image = image.resize(smaller, Image.Resampling.LANCZOS)
    out = BytesIO()
    if wanted.image_format == "png":
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, wanted.image_format.upper(), quality=wanted.quality)
    return out.getvalue()


def _plate(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    mark: Mark,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """The position of the number: above, left, or in a corner, wherever it overlaps no other number."""
    box = draw.textbbox((0, 0), str(mark.id), font=font)
    width, height = box[2] + 1, box[3] + 1
    left, top, right, bottom = _corners(mark, size)
    places = (
        (left, top - height),
        (left - width, top),
        (right - width, top),
        (left, top),
        (right - width, bottom - height),
    )
    plates = [
        (
            max(0.0, min(x, size[0] - 1 - width)),
            max(0.0, min(y, size[1] - 1 - height)),
            max(0.0, min(x, size[0] - 1 - width)) + width,
            max(0.0, min(y, size[1] - 1 - height)) + height,
        )
        for x, y in places
    ]
    return next((plate for plate in plates if not any(_overlap(plate, other) for other in taken)), plates[3])


def _corners(mark: Mark, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top = max(0.0, mark.box.x), max(0.0, mark.box.y)
    right = min(size[0] - 1.0, mark.box.x + mark.box.width)
    bottom = min(size[1] - 1.0, mark.box.y + mark.box.height)
    return left, top, max(left, right), max(top, bottom)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
