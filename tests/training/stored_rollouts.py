"""Rollouts as a policy could have made them: real tokens, pictures and log-probabilities, stored as trajectories."""

import hashlib
import io
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file, save_file

from agent.types import Completion, Failure, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickId, Observation, Viewport
from storage.store import TrajectoryStore
from training.learning.models import LoadedPolicy, score
from training.sampling.samples import Sample


def picture(seed: int, width: int = 64, height: int = 96) -> bytes:
    """A PNG that differs by seed."""
    colours = random.Random(seed).sample(range(256), 3)
    image = Image.new("RGB", (width, height), (colours[0], colours[1], colours[2]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class Rollout:
    """A stage folder with trajectories and verdicts, filled by tests."""

    def __init__(self, folder: Path, model_directory: Path) -> None:
        self.store = TrajectoryStore(folder / "rollout")
        self.verdicts_path = folder / "verdicts.jsonl"
        self.verdicts: list[Verdict] = []
        config = json.loads((model_directory / "config.json").read_bytes())
        self.image_token = config.get("image_token_id", 5)
        self._first_word = 20
        self._vocabulary = config.get("text_config", config)["vocab_size"]

    def completion(
        self, seed: int, *, version: int = 0, with_picture: bool = True
    ) -> tuple[Completion, dict[str, bytes]]:
        """Random tokens; the log-probabilities are placeholders until `rescore`."""
        rng = random.Random(seed)
        words = [rng.randrange(self._first_word, self._vocabulary) for _ in range(rng.randrange(6, 30))]
        answer = [rng.randrange(self._first_word, self._vocabulary) for _ in range(rng.randrange(3, 9))]
        images = {hashlib.sha256(data).hexdigest(): data for data in [picture(seed)]} if with_picture else {}
        # 64 x 96 pixels in patches of 16, merged two by two: 2 x 3 features.
        pads = [self.image_token] * 6 if with_picture else []
        completion = Completion(
            text="click(1)",
            prompt_token_ids=(*words[:3], *pads, *words[3:]),
            token_ids=tuple(answer),
            logprobs=(-1.0,) * len(answer),
            policy_version=version,
            images=tuple(images),
        )
        return completion, images

    def add(
        self,
        name: str,
        *,
        group: str = "g0",
        member: int = 0,
        reward: float | None = 1.0,
        steps: Sequence[Completion] | None = None,
        count: int = 1,
        with_picture: bool = True,
        failure: Failure | None = None,
    ) -> Trajectory:
        """Stores one trajectory; `reward=None` stores an undecided verdict."""
        images: dict[str, bytes] = {}
        completions = list(steps or ())
        for index in range(0 if steps is not None else count):
            completion, pictures = self.completion(zlib.crc32(f"{name}-{index}".encode()), with_picture=with_picture)
            completions.append(completion)
            images |= pictures
        trajectory = make_trajectory(name, completions, group=group, member=member, failure=failure)
        self.store.write(trajectory, images)
        self.verdicts.append(Verdict(trajectory_id=name, reward=reward, judge="test"))
        self.verdicts_path.write_text("".join(v.model_dump_json() + "\n" for v in self.verdicts))
        return trajectory

    def rescore(self, policy: LoadedPolicy) -> None:
        """Gives all stored completions the log-probabilities that `policy` assigns to them."""
        for trajectory in list(self.store):
            steps = []
            for step in trajectory.steps:
                assert step.completion is not None
                sample = as_sample(step.completion)
                scores = score(policy, [sample], self.store.image)[0]
                rescored = step.completion.model_copy(update={"logprobs": tuple(min(0.0, one) for one in scores)})
                steps.append(step.model_copy(update={"completion": rescored}))
            self.store.write(trajectory.model_copy(update={"steps": tuple(steps)}), {})


def make_trajectory(
    name: str,
    completions: Sequence[Completion],
    *,
    group: str = "g0",
    member: int = 0,
    failure: Failure | None = None,
) -> Trajectory:
    """A trajectory whose steps click the first mark of an empty page."""
    page = Observation(url="http://localhost/", title="", viewport=Viewport())
    steps = tuple(
        Step(index=index, observation=page, completion=completion, action=ClickId(id=1))
        for index, completion in enumerate(completions)
    )
    return Trajectory(
        id=name,
        task=Task(id=group, environment="miniwob"),
        goal="click ok",
        group=group,
        member=member,
        iteration=1,
        steps=steps,
        stop=StopReason.FAILED if failure else StopReason.DONE,
        failure=failure,
        policy_version=0,
    )


def as_sample(completion: Completion, advantage: float = 1.0) -> Sample:
    """The completion as a sample, without any check."""
    return Sample(
        trajectory_id="t",
        step=0,
        prompt_token_ids=np.asarray(completion.prompt_token_ids, dtype=np.int64),
        token_ids=np.asarray(completion.token_ids, dtype=np.int64),
        logprobs=np.asarray(completion.logprobs, dtype=np.float32),
        advantage=advantage,
        images=completion.images,
        policy_version=0,
        temperature=1.0,
    )


def put_nan(weights: Path, name: str = "lm_head.weight") -> None:
    """Makes one number of one tensor NaN, in a file of its own: imported weights are hard links."""
    tensors = load_file(weights)
    tensors[name].view(-1)[-1] = float("nan")
    weights.unlink()
    save_file(tensors, weights, metadata={"format": "pt"})


def sign_again(checkpoint: Path) -> None:
    """Makes the manifest fit the files, as if they had been written so."""
    manifest = json.loads((checkpoint / "manifest.json").read_bytes())
    files = {name: (checkpoint / name).read_bytes() for name in manifest["sizes"] if (checkpoint / name).is_file()}
    manifest["sizes"] = {name: len(data) for name, data in files.items()}
    manifest["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
