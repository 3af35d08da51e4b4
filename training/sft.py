"""Supervised fine-tuning on the best trajectories of a run: a warm start for another run, as a Hugging Face folder.

    python -m training.sft --policy DIR --to DIR --played DIR FILE [--played DIR FILE ..] [--demonstrations FILE] [--best N] ...

The stored tokens of the shortest successes of each task are imitated: -log pi, mean over tokens, by the learner of the policy
update, so nothing is rendered or tokenised again. This is rejection sampling fine-tuning (RFT, arXiv 2308.01825) over
all iterations of a run. Turns without tokens come from a file of demonstrations. Exit codes: 0 done, 2 bad input, with one
sentence on stderr.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from storage.store import CorruptTrajectory, TrajectoryStore
from telemetry.log_format import start_log
from training.checkpointing.manifest import ABOUT_ITS_MAKING
from training.config import UpdateConfig
from training.demonstrations import read_turns, samples_of_turns
from training.errors import BadInput, UpdateError
from training.learning.update_inputs import read_verdicts
from training.model_folder import CARD, LIMITS, new_folder
from training.sampling.filters import why_excluded
from training.sampling.picture_checks import FeatureCounter, look_at, picture_fault, without_faulty
from training.sampling.pictures import JoinedPictures
from training.sampling.replay import Played, as_members
from training.sampling.sample_checks import refuse_many
from training.sampling.samples import Sample, build_samples, read_vocabulary
from training.settings import world_size

log = logging.getLogger("training.sft")


class Tuned(NamedTuple):
    """Result of a supervised fine-tuning."""

    trajectories: int
    samples: int
    steps: int
    loss: float
    """Mean over the optimiser steps, in nats per token."""


class Options(NamedTuple):
    """Settings of one fine-tuning."""

    policy: Path
    """Hugging Face folder to begin with."""
    to: Path
    """Folder to write; must not exist."""
    played: Sequence[tuple[Path, Path]]
    """Stage folders with the verdicts on their trajectories."""
    demonstrations: Path | None = None
    """Turns without stored tokens (`training.demonstrations`), whose pictures are in the stage folders."""
    best: int = 1
    """Successes of each task, the shortest first."""
    epochs: int = 1
    learning_rate: float = 1e-6
    micro_batch_size: int = 4
    minibatches: int = 16
    device: str = "auto"
    seed: int = 0


def sft(options: Options) -> Tuned:
    """Imitates the best trajectories and writes the policy. Raises UpdateError when there are none."""
    if world_size() > 1:
        raise BadInput(
            "supervised fine-tuning runs in one process, with whole weights; start it without torchrun, on a GPU that holds the "
            "weights and Adam's moments (16 bytes per weight)"
        )
    config = _config(options)
    with new_folder(options.to) as folder:
        chosen = best_of(successes(options.played, config.success_reward), options.best)
        if not chosen:
            raise BadInput(
                f"none of the trajectories in {len(options.played)} stages is a success; there is nothing to imitate"
            )
        pictures = JoinedPictures([TrajectoryStore(stage) for stage, _ in options.played])
        samples = samples_of(chosen, options.policy, pictures, config)
        shown = read_turns(options.demonstrations) if options.demonstrations else []
        if not samples and not shown:
            raise BadInput(
                f"none of the {len(chosen)} best trajectories has a step with stored tokens, and there are no "
                "demonstrations; there is nothing to imitate"
            )
        # torch and TRL take seconds to import.
        from training.learning.learner import learn
        from training.learning.models import load_policy, pick_device
        from training.learning.writing import write_policy

        policy = load_policy(options.policy, dtype=config.dtype, device=pick_device(config.device))
        samples += samples_of_turns(shown, policy.processor, pictures.image)
        if policy.image_token_id is not None:
            counter = FeatureCounter(
                policy.processor.image_processor, policy.image_token_id, look_at(pictures, samples)
            )
            samples, bad = without_faulty(samples, counter.fault_of)
            refuse_many(bad, len(samples), at_most=config.max_bad_fraction)
        learned = learn(policy, samples, pictures.image, config, seed=config.seed)
        write_policy(policy.model, options.policy, folder, optimizer=None)
        for name in ABOUT_ITS_MAKING:
            (folder / name).unlink(missing_ok=True)
        tuned = Tuned(len(chosen), len(samples), learned.steps, learned.metrics["loss"])
        (folder / CARD).write_text(_card(options, tuned))
    return tuned


def _config(options: Options) -> UpdateConfig:
    """The settings of the learner. Raises BadInput with the first option that cannot be used."""
    taken = ("epochs", "learning_rate", "micro_batch_size", "minibatches", "device")
    fixed = {"preset": "webgym", "mask_unchanged": "none", "warmup_steps": 0, "seed": options.seed}
    try:
        return UpdateConfig.model_validate({name: getattr(options, name) for name in taken} | fixed)
    except ValidationError as error:
        first = error.errors()[0]
        name = "-".join(map(str, first["loc"])).replace("_", "-")
        raise BadInput(f"--{name} {first['input']}: {first['msg']}") from error


def successes(stages: Iterable[tuple[Path, Path]], at_least: float) -> list[Played]:
    """The verified successes of stages, without canaries, blocked and broken episodes."""
    found: list[Played] = []
    for folder, file in stages:
        if not folder.is_dir():
            raise BadInput(f"{folder} does not exist; expected the stage folder of a rollout")
        verdicts = read_verdicts(file)
        for trajectory in TrajectoryStore(folder):
            verdict = verdicts.get(trajectory.id)
            if verdict is None or verdict.reward is None or why_excluded(trajectory, verdict):
                continue
            if verdict.reward >= at_least:
                found.append(Played(trajectory, verdict.reward))
    return found


def best_of(played: Iterable[Played], most: int) -> list[Played]:
    """For each task the successes with the fewest steps, at most `most`, newer ones first among equals."""
    by_task: dict[str, list[Played]] = {}
    for one in played:
        by_task.setdefault(one.trajectory.task.id, []).append(one)
    kept: list[Played] = []
    for _, candidates in sorted(by_task.items()):
        candidates.sort(key=lambda one: (len(one.trajectory.steps), -one.trajectory.iteration, one.trajectory.id))
        kept += candidates[:most]
    return kept


def samples_of(chosen: Sequence[Played], policy: Path, pictures: JoinedPictures, config: UpdateConfig) -> list[Sample]:
    """The steps of trajectories as samples with advantage 1. Raises SampleError when too many are faulty."""
    versions = [
        step.completion.policy_version or 0 for one in chosen for step in one.trajectory.steps if step.completion
    ]
    built = build_samples(
        as_members(chosen),
        vocabulary=read_vocabulary(policy),
        # Imitation asks for no ratio, so that the version that sampled a step does not matter.
        policy_version=max(versions, default=0),
        max_staleness=0,
        config=config,
    )
    looked = look_at(pictures, built.samples)
    samples, bad = without_faulty(built.samples, lambda sample: picture_fault(sample, looked))
    refuse_many(built.bad + bad, len(samples), at_most=config.max_bad_fraction)
    return samples


def _card(options: Options, tuned: Tuned) -> str:
    settings = {
        name: value
        for name, value in options._asdict().items()
        if name not in ("policy", "to", "played", "demonstrations")
    }
    return (
        "---\nlibrary_name: transformers\ntags: [web-agent]\n---\n"
        f"# {options.to.name}\n\nA policy for visual web agents, fine-tuned to imitate {tuned.samples} steps of {tuned.trajectories} "
        f"verified successes, in {tuned.steps} optimiser steps with a mean loss of {tuned.loss:.3f} nats per token.\n\n"
        f"## Recipe\n\n`{json.dumps(settings)}`\n\n## Limits\n\n{LIMITS}\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    start_log()
    parser = argparse.ArgumentParser(prog="python -m training.sft", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", type=Path, required=True, help="Hugging Face folder to begin with")
    parser.add_argument("--to", type=Path, required=True, help="folder to write")
    parser.add_argument("--played", type=Path, nargs=2, action="append", required=True, metavar=("DIR", "FILE"))
    parser.add_argument("--demonstrations", type=Path, metavar="FILE", help="turns without stored tokens")
    for name, default in Options._field_defaults.items():
        if name == "demonstrations":
            continue
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    try:
        tuned = sft(Options(**vars(parser.parse_args(arguments))))
    except (UpdateError, CorruptTrajectory) as error:
        log.error("%s", error)
        return 2
    log.info(
        "%d steps of %d trajectories imitated in %d optimiser steps, mean loss %.3f",
        *(tuned.samples, tuned.trajectories, tuned.steps, tuned.loss),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
