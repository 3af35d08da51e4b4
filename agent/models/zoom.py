"""Enlarges the part of a picture that a model asks for."""

import base64
import io

from PIL import Image

LARGEST = 1_280
"""Longer side of the enlarged part, in pixels."""


def enlarged(data: str, region: tuple[float, float, float, float]) -> str:
    """Returns a region (x0, y0, x1, y1 in pixels) of a base64 picture as a base64 PNG; the whole if it is empty."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        x0, x1 = sorted(min(max(x, 0.0), picture.width) for x in (region[0], region[2]))
        y0, y1 = sorted(min(max(y, 0.0), picture.height) for y in (region[1], region[3]))
        box = (int(x0), int(y0), max(int(x1), int(x0) + 1), max(int(y1), int(y0) + 1))
        part = picture if x1 - x0 < 1 or y1 - y0 < 1 else picture.crop(box)
        scale = LARGEST / max(part.size)
        size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
        out = io.BytesIO()
        part.resize(size, Image.Resampling.LANCZOS).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
