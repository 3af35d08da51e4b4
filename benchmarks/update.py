"""Measures the policy update on stored steps that a policy could have made: speed, memory and the gain of a warm process.

    python -m benchmarks.update [--policy policies/tiny] [--steps 400] [--rounds 3] [--memory 256 4096 [--pixels 65536]]
                                [--device cpu]

Prints the seconds of training per 1,000 tokens beside a loop of plain transformers and torch with the same mathematics, the
seconds of an update alone and in a process that is kept warm, and with `--memory` the peak memory of updates of so many
steps with screenshots of 1280x720. A step with all of such a picture takes two seconds on a core; `--pixels` lets the
policy's processor shrink it, as recipes with a limit of image tokens do: each picture is still read and decoded whole.
On a GPU (`--device cuda`) it prints tokens per second, the MFU and the GPU's memory beside them.
Figures are comparable within one run only: other programs on the machine slow all of them.
"""

import argparse
import asyncio
import hashlib
import io
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickId, Observation, Viewport
from flows.policy.update_process import WarmUpdates, run_update_process
from flows.stages.policy_update import start_of_command
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import import_policy
from training.config import UpdateConfig
from training.learning.learner import learn, make_optimizer
from training.learning.minibatches import plan
from training.learning.models import ImageSource, LoadedPolicy, collate, load_policy, pick_device
from training.learning.report import read_report
from training.learning.scoring.token_scores import stored_scores
from training.learning.update_inputs import Request, read_batch
from training.sampling.samples import Sample

LOOP_AT_MOST, WARM_AT_MOST, MEMORY_AT_MOST = 1.15, 0.6, 1.05
GROUP = 4
WORDS, ANSWER = 120, 8
DEADLINE_S = 3_600.0
RATES = ("tokens_per_second", "mfu", "gpu_peak_gb")
CONFIG = {
    "advantage_scale": "none",
    "learning_rate": 3e-4,
    "minibatches": 4,
    "epochs": 2,
    "micro_batch_size": 32,
    "gradient_checkpointing": False,
    "device": "cpu",
}


class Shape(NamedTuple):
    """Size of a workload."""

    steps: int
    width: int
    height: int


def main() -> int:
    """Prints each figure beside its requirement; returns 1 if one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", type=Path, default=Path("policies/tiny"))
    parser.add_argument("--steps", type=int, default=400, help="stored steps of the demo's size")
    parser.add_argument("--rounds", type=int, default=3, help="0: only the memory")
    parser.add_argument("--memory", type=int, nargs="*", default=[], help="numbers of steps with large screenshots")
    parser.add_argument("--pixels", type=int, help="most pixels of a picture that the policy sees in these")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    missed, base = 0, CONFIG | {"device": options.device}
    with tempfile.TemporaryDirectory(prefix="rl-loop-update-") as scratch:
        if options.rounds:
            request = workload(Path(scratch) / "demo", options.policy, Shape(options.steps, 160, 192), base)
            ours, bare = speed(request, options.rounds)
            missed += report_ratio(
                "seconds per 1,000 tokens, against a plain loop", f"{ours:.3f} / {bare:.3f}", ours / bare, LOOP_AT_MOST
            )
            alone, warm = asyncio.run(warmth(request, options.rounds))
            missed += report_ratio(
                "seconds of an update, kept warm against alone", f"{warm:.1f} / {alone:.1f}", warm / alone, WARM_AT_MOST
            )
        config = base | {"micro_batch_size": 2, "minibatches": 2, "epochs": 1}
        model = seeing(options.policy, options.pixels, Path(scratch)) if options.pixels else options.policy
        peaks: dict[int, float] = {}
        for steps in sorted(options.memory):
            large = workload(Path(scratch) / f"large-{steps}", model, Shape(steps, 1280, 720), config)
            asyncio.run(once(large, None))
            report = read_report(large.report)
            peaks[steps] = report.peak_memory_bytes / 1e6
            rates = {name: report.metrics[name] for name in RATES if name in report.metrics}
            beside = ", ".join(f"{name} {value:.3g}" for name, value in rates.items())
            print(f"peak memory, {steps} steps of 1280x720: {peaks[steps]:.0f} MB; {beside}", flush=True)
        if len(peaks) > 1:
            (few, first), *_, (many, last) = peaks.items()
            figures = f"{last:.0f} / {first:.0f}"
            missed += report_ratio(f"peak memory, {many} against {few} steps", figures, last / first, MEMORY_AT_MOST)
    return 1 if missed else 0


def report_ratio(name: str, figures: str, ratio: float, at_most: float) -> bool:
    """Prints a ratio; returns True if it is too large."""
    print(f"{name}: {figures} = {ratio:.2f} (at most {at_most})", flush=True)
    return ratio > at_most


def seeing(model: Path, pixels: int, scratch: Path) -> Path:
    """A copy of the model whose processor shrinks pictures to so many pixels."""
    copied = Path(shutil.copytree(model, scratch / "seeing"))
    file = copied / "processor_config.json"
    processor = json.loads(file.read_text())
    processor["image_processor"]["size"]["longest_edge"] = pixels
    file.write_text(json.dumps(processor))
    return copied


def workload(folder: Path, model: Path, shape: Shape, config: Mapping[str, object]) -> Request:
    """Stored steps, their verdicts and the policy that made them, as the arguments of an update."""
    first = import_policy(model, folder / "policies")
    policy = load_policy(first.path, dtype="float32", device=pick_device(str(config["device"])))
    store = TrajectoryStore(folder / "rollout")
    verdicts: list[Verdict] = []
    for number in range(shape.steps):
        trajectory, picture = one_step(policy, number, shape)
        store.write(trajectory, picture)
        verdicts.append(Verdict(trajectory_id=trajectory.id, reward=float(number % GROUP == 0), judge="benchmark"))
    request = Request(
        trajectories=folder / "rollout",
        verdicts=folder / "verdicts.jsonl",
        policy=first.path,
        policies=folder / "policies",
        version=1,
        config=folder / "config.json",
        report=folder / "report.json",
    )
    request.config.write_text(json.dumps(config))
    request.verdicts.write_text("".join(one.model_dump_json() + "\n" for one in verdicts))
    rescore(request, store, policy)
    return request


def one_step(policy: LoadedPolicy, number: int, shape: Shape) -> tuple[Trajectory, dict[str, bytes]]:
    """A trajectory of one step with a picture of its own; its log-probabilities are to be computed."""
    rng = random.Random(number)
    buffer = io.BytesIO()
    colour = tuple(rng.randrange(256) for _ in range(3))
    Image.new("RGB", (shape.width, shape.height), colour).save(buffer, "PNG")
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    grid = policy.processor.image_processor(images=[Image.open(buffer)], return_tensors="pt")["image_grid_thw"]
    pads = [policy.image_token_id or 0] * int(grid.prod() // policy.processor.image_processor.merge_size**2)
    words = [rng.randrange(40, 200) for _ in range(WORDS + rng.randrange(WORDS // 2))]
    completion = Completion(
        text="click(1)",
        prompt_token_ids=(*words[:3], *pads, *words[3:]),
        token_ids=tuple(rng.randrange(40, 200) for _ in range(ANSWER)),
        logprobs=(-1.0,) * ANSWER,
        policy_version=0,
        images=(name,),
    )
    page = Observation(url="http://localhost/", title="", viewport=Viewport())
    group = f"g{number // GROUP:05d}"
    trajectory = Trajectory(
        id=f"t{number:05d}",
        task=Task(id=group, environment="miniwob"),
        goal="click ok",
        group=group,
        member=number % GROUP,
        iteration=1,
        steps=(Step(index=0, observation=page, completion=completion, action=ClickId(id=1)),),
        stop=StopReason.DONE,
        policy_version=0,
    )
    return trajectory, {name: buffer.getvalue()}


def rescore(request: Request, store: TrajectoryStore, policy: LoadedPolicy) -> None:
    """Stores the log-probabilities that the policy gives its tokens."""
    settings = UpdateConfig.model_validate_json(request.config.read_bytes())
    for trajectory in list(store):
        completion = trajectory.steps[0].completion
        assert completion is not None
        scores = stored_scores(policy, [sample_of(completion)], store.image, settings)[0]
        known = completion.model_copy(update={"logprobs": tuple(min(0.0, float(one)) for one in scores)})
        steps = (trajectory.steps[0].model_copy(update={"completion": known}),)
        store.write(trajectory.model_copy(update={"steps": steps}), {})


def sample_of(completion: Completion) -> Sample:
    """A stored completion as a sample without advantage."""
    return Sample(
        trajectory_id="t",
        step=0,
        prompt_token_ids=np.asarray(completion.prompt_token_ids, dtype=np.int64),
        token_ids=np.asarray(completion.token_ids, dtype=np.int64),
        logprobs=np.asarray(completion.logprobs, dtype=np.float32),
        advantage=0.0,
        images=completion.images,
        policy_version=0,
        temperature=1.0,
    )


def speed(request: Request, rounds: int) -> tuple[float, float]:
    """Seconds per 1,000 tokens of the learner, and of a plain loop over the same passes; the best of some rounds."""
    batch = read_batch(request)
    tokens = batch.config.epochs * sum(map(len, batch.samples)) / 1000
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for times, train in zip(found, (ours, plain), strict=True):
            policy = load_policy(request.policy, dtype="float32", device=pick_device(batch.config.device))
            began = time.perf_counter()
            train(policy, batch.samples, batch.store.image, batch.config)
            times.append((time.perf_counter() - began) / tokens)
    return min(found[0]), min(found[1])


def ours(policy: LoadedPolicy, samples: list[Sample], images: ImageSource, config: UpdateConfig) -> None:
    """The learner of the update."""
    learn(policy, samples, images, config)


def plain(policy: LoadedPolicy, samples: list[Sample], images: ImageSource, config: UpdateConfig) -> None:
    """The same passes and steps as a script would write them: no metrics, no checks."""
    batches = plan(
        [len(one) for one in samples],
        [len(one.token_ids) for one in samples],
        minibatches=config.minibatches,
        epochs=config.epochs,
        micro_batch_size=config.micro_batch_size,
        seed=0,
    )
    optimizer = make_optimizer(policy.model, config)
    for number, microbatch in enumerate(batches.microbatches, start=1):
        batch = collate(policy, [samples[row] for row in microbatch.rows], images)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        length = batch["completion_ids"].size(1)
        pictures = {name: batch[name] for name in ("pixel_values", "image_grid_thw", "mm_token_type_ids")}
        output = policy.model(
            input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=length + 1, **pictures
        )
        logprobs = output.logits[:, :-1].log_softmax(-1).gather(-1, batch["completion_ids"][..., None])[..., 0]
        ratio = (logprobs - batch["old_per_token_logps"]).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        gain = torch.minimum(ratio * batch["advantages"], clipped * batch["advantages"])
        (-(gain * batch["completion_mask"]).sum() / microbatch.step_tokens).backward()
        if number % batches.accumulation == 0:
            torch.nn.utils.clip_grad_norm_(policy.model.parameters(), config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()


async def warmth(request: Request, rounds: int) -> tuple[float, float]:
    """Seconds of an update in a process of its own, and in one that is kept warm; the best of some rounds."""
    warm = WarmUpdates(request.policy, request.report.with_name("warm.log"))
    found: tuple[list[float], list[float]] = ([], [])
    try:
        await once(request, warm)  # the first request waits for the imports
        for _ in range(rounds):
            for times, process in zip(found, (None, warm), strict=True):
                began = time.perf_counter()
                await once(request, process)
                times.append(time.perf_counter() - began)
    finally:
        await warm.stop()
    return min(found[0]), min(found[1])


async def once(request: Request, warm: WarmUpdates | None) -> None:
    """Runs the update anew. Raises RuntimeError when it fails."""
    shutil.rmtree(request.policies / "v0001", ignore_errors=True)
    log = request.report.with_suffix(".log")
    stated = {name: value for name, value in request._asdict().items() if name != "replay"}
    arguments = [part for name, value in stated.items() for part in (f"--{name}", str(value))]
    if warm is not None:
        status = await warm.run(arguments, log)
    else:
        status = await run_update_process([*start_of_command(UpdateConfig()), *arguments], log, deadline_s=DEADLINE_S)
    if status != 0:
        raise RuntimeError(f"the update ended with status {status}: {log.read_text()[-400:]}")


if __name__ == "__main__":
    sys.exit(main())
