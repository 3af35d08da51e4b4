"""A policy as a Hugging Face folder for others: weights, tokenizer, processor and a model card, without files of the loop."""

import json
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from training.checkpointing.manifest import ABOUT_ITS_MAKING, Checkpoint
from training.errors import BadInput

CARD = "README.md"
LIMITS = (
    "The policy acts on web pages from screenshots and lists of elements. Pages are hostile text to it: run it in a browser "
    "whose network access is restricted, and let a person confirm purchases and messages. It was trained and measured on "
    "the tasks named above and on no others."
)


class Point(NamedTuple):
    """Success of one iteration in [0, 1]; None where it was not measured."""

    iteration: int
    training: float | None
    held_out: float | None


def export_policy(checkpoint: Checkpoint, target: Path, card: str) -> None:
    """Copies a version's model files to a new folder, with a model card. Raises BadInput when the folder exists."""
    with new_folder(target) as folder:
        for name in sorted(checkpoint.sha256):
            # Adam's moments, the adapter (its product is in the weights) and files about the making stay behind.
            if "/" not in name and name not in ABOUT_ITS_MAKING:
                shutil.copyfile(checkpoint.path / name, folder / name)
        (folder / CARD).write_text(card)


@contextmanager
def new_folder(target: Path) -> Generator[Path]:
    """Yields an empty folder that becomes `target` when the block succeeds. Raises BadInput when `target` exists."""
    if target.exists():
        raise BadInput(f"{target} exists already; name a folder that does not")
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def card_of(checkpoint: Checkpoint, *, name: str, data: str, curve: Sequence[Point]) -> str:
    """The model card of a version: recipe, curve, data, limits. `data` is a sentence about its tasks."""
    settings = checkpoint.recipe.config if checkpoint.recipe else {}
    recipe = "\n".join(f"| `{key}` | {_cell(value)} |" for key, value in sorted(settings.items()))
    points = "\n".join(f"| {one.iteration} | {_percent(one.training)} | {_percent(one.held_out)} |" for one in curve)
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [web-agent, reinforcement-learning]
---
# {name}, version {checkpoint.version}

A policy for visual web agents, trained by reinforcement learning for {checkpoint.step} optimiser steps from the policy that the run
began with.

## Data

{data}

## Recipe

| setting of the last update | value |
|---|---|
{recipe or "| none: this is the policy that the run began with | |"}

## Success by iteration

| iteration | in training | on held-out tasks |
|---|---|---|
{points}

## Limits

{LIMITS}
"""


def _cell(value: Any) -> str:
    return json.dumps(value).replace("|", "\\|")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
