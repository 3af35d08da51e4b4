"""An observation from the parts that OmniBoxes has: the picture, its marks, title, address and text of the page."""

import base64
import hashlib
import io
from typing import Annotated, Any

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from browser_service.errors import BrowserCrashed
from browser_service.models import Box, Mark, Observation, ObserveRequest, Screenshot, Viewport

LARGEST = 8_192
"""Pixels of the longer side of a picture that is accepted."""
NAME, TITLE, ADDRESS, TEXT, MOST_MARKS = 200, 1_000, 8_192, 1_000_000, 2_000
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Rect(_Lenient):
    x: Number
    y: Number
    width: Number
    height: Number


class _Region(_Lenient):
    role: str | None = ""
    aria_name: str | None = ""
    v_scrollable: bool | None = False
    rects: Annotated[list[_Rect], Field(min_length=1)]


def encoded(content: bytes, wanted: ObserveRequest) -> Screenshot:
    """The picture in the wanted format and size. Raises `BrowserCrashed` for bytes that are no picture: a master answers
    200 with words when its browser is gone. CPU work: call it in a thread.
    """
    try:
        picture = Image.open(io.BytesIO(content))
        if max(picture.size) > LARGEST:
            raise BrowserCrashed(f"the picture has {picture.width} x {picture.height} pixels, more than {LARGEST}")
        size = max(1, round(picture.width * wanted.scale)), max(1, round(picture.height * wanted.scale))
        if picture.format == "PNG" and wanted.image_format == "png" and size == picture.size:
            picture.verify()
        else:
            content = _as(picture.convert("RGB").resize(size), wanted)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrowserCrashed(f"expected a picture of the page, found {content[:80]!r}") from error
    return Screenshot(
        sha256=hashlib.sha256(content).hexdigest(),
        media_type=f"image/{wanted.image_format}",
        width=size[0],
        height=size[1],
        data=base64.b64encode(content).decode(),
    )


def _as(picture: Image.Image, wanted: ObserveRequest) -> bytes:
    out = io.BytesIO()
    picture.save(out, wanted.image_format.upper(), quality=wanted.quality)
    return out.getvalue()


def marks_of(info: dict[str, Any]) -> tuple[list[Mark], bool]:
    """The marks of the last set-of-marks picture, by their displayed numbers; True if some could not be read.

    `info` is the answer to `get_screenshot_info`.
    """
    shown, mapping, regions = (info.get(name) for name in ("visible_rects", "id_mapping", "interactive_regions"))
    if not isinstance(shown, list) or not isinstance(regions, dict):
        return [], False  # nothing interactive is in view: there is no such picture
    originals = mapping if isinstance(mapping, dict) else {}
    found = [_mark(number, regions.get(str(originals.get(str(number), number)))) for number in shown[:MOST_MARKS]]
    marks = [mark for mark in found if mark is not None]
    return marks, len(marks) < len(shown)


def _mark(number: object, region: object) -> Mark | None:
    try:
        read = _Region.model_validate(region)
        rect = read.rects[0]
        return Mark(
            id=int(str(number)),
            role=(read.role or "generic")[:NAME],
            name=(read.aria_name or "")[:NAME],
            box=Box(x=rect.x, y=rect.y, width=rect.width, height=rect.height),
            scrollable=bool(read.v_scrollable),
        )
    except (ValidationError, ValueError):
        return None


def page_of(viewport: Viewport, metadata: dict[str, Any], text: dict[str, Any] | None) -> Observation:
    """The observation without picture and marks; `metadata` and `text` are answers to the commands of these names."""
    return Observation(
        url=_text(metadata.get("url"), ADDRESS) or "about:blank",
        title=_text(metadata.get("title"), TITLE),
        viewport=viewport,
        text=None if text is None else _text(text.get("text"), TEXT),
    )


def _text(value: object, longest: int) -> str:
    """A text of the page; half of a surrogate pair, which is no text, is replaced."""
    return value[:longest].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
