"""Checks pictures of stored prompts: they exist, can be decoded, and make as many features as there are placeholders.

Runs before training, because a forward pass fails on such a sample and ends the update.
"""

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from storage.store import CorruptTrajectory
from training.sampling.pictures import Pictures
from training.sampling.sample_checks import BadStep, Fault
from training.sampling.samples import Sample

MOST_THREADS = 8


class Picture(NamedTuple):
    """Result of decoding a picture: its size, or its fault."""

    width: int = 0
    height: int = 0
    fault: Fault | None = None


def look_at(store: Pictures, samples: Iterable[Sample]) -> dict[str, Picture]:
    """Decodes every picture in the samples' prompts, by sha256. Runs in threads, because decoding releases the GIL."""
    wanted = sorted({sha256 for sample in samples for sha256 in sample.images})
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        return dict(zip(wanted, threads.map(lambda sha256: _look(store, sha256), wanted), strict=True))


def without_faulty(
    samples: Sequence[Sample], fault_of: Callable[[Sample], Fault | None]
) -> tuple[list[Sample], list[BadStep]]:
    """Splits samples into those without a fault and the named faulty ones."""
    good: list[Sample] = []
    bad: list[BadStep] = []
    for sample in samples:
        fault = fault_of(sample)
        if fault is None:
            good.append(sample)
        else:
            bad.append(BadStep(sample.trajectory_id, sample.step, fault))
    return good, bad


def picture_fault(sample: Sample, pictures: Mapping[str, Picture]) -> Fault | None:
    """Returns the fault of the first faulty picture of a sample, None if there is none."""
    return next((pictures[sha256].fault for sha256 in sample.images if pictures[sha256].fault is not None), None)


class FeatureCounter:
    """Counts the features that pictures make in a processor, and compares the count with a sample's prompt."""

    def __init__(self, image_processor: Any, image_token: int, pictures: Mapping[str, Picture]) -> None:
        self._processor, self._image_token, self._pictures = image_processor, image_token, pictures
        self._known: dict[tuple[int, int], int] = {}

    def fault_of(self, sample: Sample) -> Fault | None:
        """Returns the fault of a prompt whose placeholders are more or fewer than its pictures' features."""
        found = int((sample.prompt_token_ids == self._image_token).sum())
        try:
            expected = sum(self._features(self._pictures[sha256]) for sha256 in sample.images)
        except ValueError as error:  # a picture of an impossible shape
            return Fault("picture", f"the policy's processor can't take its picture: {' '.join(str(error).split())}")
        if expected == found:
            return None
        return Fault(
            "placeholders",
            f"its pictures make {expected} features here, but its prompt has {found} placeholders; if that is so for many, "
            "serve and train with the same preprocessor settings",
        )

    def _features(self, picture: Picture) -> int:
        size = picture.height, picture.width
        if size not in self._known:
            self._known[size] = self._count(*size)
        return self._known[size]

    def _count(self, height: int, width: int) -> int:
        merged = self._processor.merge_size**2
        if hasattr(self._processor, "get_number_of_image_patches"):
            return self._processor.get_number_of_image_patches(height, width) // merged
        blank = Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8))
        return int(self._processor(images=[blank], return_tensors="np")["image_grid_thw"].prod()) // merged


def _look(store: Pictures, sha256: str) -> Picture:
    try:
        data = store.image(sha256)
    except FileNotFoundError:
        where = store.image_path(sha256)
        return Picture(fault=Fault("picture", f"{where} does not exist, though its prompt shows it; play again"))
    except (CorruptTrajectory, OSError) as error:
        return Picture(fault=Fault("picture", f"its picture can't be read: {error}"))
    try:
        with Image.open(io.BytesIO(data)) as opened:
            return Picture(*opened.convert("RGB").size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        where = store.image_path(sha256)
        return Picture(fault=Fault("picture", f"{where} can't be decoded ({' '.join(str(error).split())}); play again"))
