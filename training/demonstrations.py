"""Turns to imitate that no policy sampled: prompts and replies as text, made into samples by the policy's own processor.

Each prompt is rendered by the chat template, with its pictures' placeholders expanded, as the server of rollouts does.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import BadInput
from training.sampling.samples import Sample

MOST_TOKENS = 32_768
"""Longer prompts are refused: a line of the file is not what it says."""


class Turn(BaseModel):
    """A line of a file of demonstrations."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trajectory_id: str
    step: int
    messages: list[dict[str, Any]]
    """Chat messages; a picture is the part `{"type": "image"}`."""
    reply: str
    images: tuple[str, ...] = ()
    """sha256 of the pictures, in the order of their parts."""


def read_turns(file: Path) -> list[Turn]:
    """The turns of a file of JSON lines. Raises BadInput with the first line that is none."""
    turns: list[Turn] = []
    try:
        with file.open() as lines:
            for line in lines:
                turns.append(Turn.model_validate_json(line))
    except OSError as error:
        raise BadInput(f"{file} can't be read: {error}") from error
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise BadInput(f"{file}, line {len(turns) + 1}: expected a turn to imitate, found {why}") from error
    return turns


def samples_of_turns(turns: Iterable[Turn], processor: Any, picture: Callable[[str], bytes]) -> list[Sample]:
    """Turns as samples with advantage 1; only the reply, with the token that ends it, has loss.

    `processor`: of the policy, or the tokenizer of one that sees no pictures. `picture` reads one by its sha256.
    """
    return [_sample(turn, processor, [picture(name) for name in turn.images]) for turn in turns]


def _sample(turn: Turn, processor: Any, pictures: list[bytes]) -> Sample:
    tokenizer = getattr(processor, "tokenizer", processor)
    text = processor.apply_chat_template(turn.messages, tokenize=False, add_generation_prompt=True)
    if pictures:
        from PIL import Image

        shown = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
        prompt = processor(text=[text], images=shown)["input_ids"][0]
    else:
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(prompt) > MOST_TOKENS:
        raise BadInput(
            f"{turn.trajectory_id}, step {turn.step}: the prompt has {len(prompt)} tokens, over {MOST_TOKENS}"
        )
    reply = [*tokenizer(turn.reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return Sample(
        trajectory_id=turn.trajectory_id,
        step=turn.step,
        prompt_token_ids=np.asarray(prompt, dtype=np.int64),
        token_ids=np.asarray(reply, dtype=np.int64),
        logprobs=np.zeros(len(reply), dtype=np.float32),
        advantage=1.0,
        images=turn.images,
        policy_version=0,
        temperature=1.0,
    )
