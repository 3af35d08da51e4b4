"""A policy that differs from its parent in its vision tower only: no cache of vLLM may keep what the old one saw."""

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from real_policies import Policies
from real_stack import Stack

from agent.models.openai_chat import OpenAIChat
from agent.types import Completion, Task
from browser_service.models import Observation, Screenshot, Viewport
from flows.policy.publishing import ensure_served
from flows.services.model_servers import socket_path
from flows.settings.run_folder import RunFolder
from training.config import UpdateConfig
from training.lean_imports import prepare as prepare_imports
from training.learning.models import load_policy, pick_device
from training.learning.scoring.token_scores import stored_scores
from training.sampling.samples import Sample

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]

VIEWPORT = Viewport(width=160, height=192)


def picture() -> bytes:
    """A picture that a vision tower can't take for a blank page."""
    image, buffer = Image.new("RGB", (VIEWPORT.width, VIEWPORT.height), "white"), io.BytesIO()
    draw = ImageDraw.Draw(image)
    for place in range(0, 160, 20):
        draw.rectangle((place, place, place + 15, place + 30), fill=(place, 200 - place, 90))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def other_eyes(tensors: dict) -> None:
    """Changes the vision tower, and nothing else."""
    for name, tensor in tensors.items():
        if ".visual." in name:
            tensors[name] = tensor * 1.2


async def asked(stack: Stack, folder: RunFolder, version: int, data: bytes) -> Completion:
    """A completion of the served version to a page with a picture, always by the same words."""
    served = await ensure_served(folder, version)
    screenshot = Screenshot(
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/png",
        width=VIEWPORT.width,
        height=VIEWPORT.height,
        data=base64.b64encode(data).decode(),
    )
    page = Observation(url="http://localhost/", title="page", viewport=VIEWPORT, screenshot=screenshot)
    config = stack.loop.agent
    uds = socket_path(stack.loop.services.state_dir)
    async with OpenAIChat(config, served, uds=uds, seed=1) as chat:
        turn = await chat.act(Task(id="t", environment="miniwob"), "Click ok.", (), page, {})
    assert turn.completion is not None and turn.completion.images, "the prompt has the picture"
    return turn.completion


def gap(model: Path, completion: Completion, data: bytes) -> float:
    """Largest difference between the server's log-probabilities and those of torch with these weights."""
    policy = load_policy(model, dtype="float32", device=pick_device("cpu"))
    sample = Sample(
        trajectory_id="t",
        step=0,
        prompt_token_ids=np.asarray(completion.prompt_token_ids, dtype=np.int64),
        token_ids=np.asarray(completion.token_ids, dtype=np.int64),
        logprobs=np.asarray(completion.logprobs, dtype=np.float32),
        advantage=0.0,
        images=completion.images,
        policy_version=0,
        temperature=completion.temperature,
    )
    scores = stored_scores(policy, [sample], lambda name: data, UpdateConfig(device="cpu"))[0]
    return float(np.abs(scores - sample.logprobs).max())


async def test_what_the_old_weights_saw_is_in_no_cache_of_the_new_ones(stack: Stack) -> None:
    prepare_imports()
    folder, data = RunFolder.create("vision", stack.loop), picture()
    policies = Policies(folder)
    policies.add(1, step=0.0, change=other_eyes)
    for version in (0, 1, 0):
        same, other = policies.path(version), policies.path(1 - version)
        for _ in range(2):  # the second one is answered from the caches
            completion = await asked(stack, folder, version, data)
            assert gap(same, completion, data) < 1e-3 < gap(other, completion, data)
