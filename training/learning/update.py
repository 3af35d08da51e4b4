"""One policy update as a process: trajectories, verdicts and a checkpoint in, the next checkpoint and a report out.

    python -m training.learning.update --trajectories DIR --verdicts FILE --policy DIR --policies DIR --version N
                              --config FILE --report FILE

A separate process returns its memory and turns a crash into an exit code. All input is checked before any heavy
import. Exit codes: 0 done (also when there was nothing to learn), 2 bad input, with one sentence on stderr.
Repeating a finished update trains nothing and writes its report again.
"""

import argparse
import json
import logging
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.store import CorruptTrajectory
from training import failpoints
from training.checkpointing.canary import FILE as CANARY_FILE
from training.checkpointing.canary import TEMPERATURE, candidates, make_canary
from training.checkpointing.checkpoints import checkpoint_path, is_disk_full, read_checkpoint, write_checkpoint
from training.errors import UpdateError
from training.lean_imports import hide_unused_packages, without_collection
from training.learning.divergence import finite_scores, require_sound
from training.learning.gap import Gap, measure_gap
from training.learning.made_before import made_before, with_checkpoint
from training.learning.report import FILE as REPORT_FILE
from training.learning.report import UpdateReport, require_finite, write_report
from training.learning.update_inputs import Batch, Request, check_for_training, read_batch
from training.sampling.picture_checks import FeatureCounter, without_faulty
from training.sampling.samples import digest
from training.sampling.shaped_terms import shaping_metrics
from training.settings import let_idle_threads_sleep

if TYPE_CHECKING:
    from training.learning.models import LoadedPolicy

log = logging.getLogger("training.learning.update")

NAMED = 20
"""Largest number of bad samples that a report names; all are counted."""


class Stopwatch:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Adds the time in the block to a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


def update(request: Request) -> UpdateReport:
    """Makes the checkpoint, unless it exists or there is nothing to learn, and writes the report."""
    watch = Stopwatch()
    with watch.phase("total"):
        with watch.phase("read"):
            batch = read_batch(request)
        report = _describe(request, batch)
        if not batch.samples:
            report = report.model_copy(update={"skipped": _why_skipped(batch)})
        elif before := _made_before(request, batch):
            report = before
        else:
            with watch.phase("check"):
                check_for_training(request, batch)
            report = train(request, batch, report, watch)
    failpoints.reach("update.before_report")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report = report.model_copy(update={"seconds": report.seconds | watch.seconds, "peak_memory_bytes": peak})
    write_report(report, request.report)
    return report


def train(request: Request, batch: Batch, report: UpdateReport, watch: Stopwatch) -> UpdateReport:
    """Trains the parent policy on the samples and writes the checkpoint, with its canary and optimiser state."""
    identity, recipe = digest(batch.samples), batch.recipe
    config, parent, samples = batch.config, batch.parent, batch.samples
    log.info("version %d: training on %d samples of %s", request.version, len(samples), parent.path)
    # torch and TRL take seconds to import, so they are imported only after the input is checked.
    with watch.phase("imports"), without_collection():
        from training.learning.learner import learn
        from training.learning.models import load_policy, pick_device, score
        from training.learning.token_scores import computes_in_bf16, stored_scores
        from training.learning.writing import write_policy
    with watch.phase("load"):
        policy = load_policy(parent.path, dtype=config.dtype, device=pick_device(config.device))
        batch = _that_fit(batch, policy)
    report, samples = _describe(request, batch), batch.samples
    if not samples:
        return report.model_copy(update={"skipped": _why_skipped(batch)})
    with watch.phase("compare"):
        scores = stored_scores(policy, samples, batch.store.image, config)
        in_bf16 = computes_in_bf16(policy, config)
        gap = measure_gap(samples, scores, config, version=parent.version, in_bf16=in_bf16)
        samples = [sample for sample in samples if sample.trajectory_id not in gap.disagreeing]
        report = _with_gap(report, gap, masked=len(batch.samples) - len(samples))
    if not samples:
        return report.model_copy(update={"skipped": "no trajectory agrees with the server"})
    candidate = candidates(samples, config.canaries)
    with watch.phase("score"):
        before = finite_scores(score(policy, candidate, batch.store.image, temperature=TEMPERATURE), of="parent's")
    failpoints.reach("update.before_train")
    with watch.phase("train"):
        learned = learn(
            policy,
            samples,
            batch.store.image,
            config.for_version(request.version),
            seed=config.seed + request.version,
            global_step=parent.step,
            resume_optimizer=parent.path if config.carry_optimizer else None,
        )
    report = report.model_copy(
        update={"steps": learned.steps, "metrics": report.metrics | learned.metrics | gap.metrics()}
    )
    require_finite(report)
    if learned.steps == 0:
        return report.model_copy(
            update={"skipped": "no token to learn from: all are masked by max_ratio or beyond the clip range"}
        )
    with watch.phase("score"):
        after = finite_scores(score(policy, candidate, batch.store.image, temperature=TEMPERATURE))
        canary = make_canary(request.version, candidate, after, before, count=config.canaries)
    failpoints.reach("update.before_write")
    with (
        watch.phase("write"),
        write_checkpoint(
            request.policies,
            request.version,
            parent=parent.version,
            step=parent.step + learned.steps,
            samples=identity,
            recipe=recipe,
        ) as folder,
    ):
        write_policy(policy.model, parent.path, folder, optimizer=learned.optimizer if config.carry_optimizer else None)
        require_sound(folder, request.version)
        (folder / CANARY_FILE).write_text(canary.model_dump_json())
        (folder / REPORT_FILE).write_text(report.model_copy(update={"seconds": watch.seconds}).model_dump_json())
    return with_checkpoint(report, read_checkpoint(checkpoint_path(request.policies, request.version), verify=False))


def _made_before(request: Request, batch: Batch) -> UpdateReport | None:
    return made_before(
        request.policies,
        request.version,
        parent=batch.parent.version,
        samples=digest(batch.samples),
        recipe=batch.recipe,
    )


def _that_fit(batch: Batch, policy: "LoadedPolicy") -> Batch:
    """Leaves out samples whose number of placeholders differs from the policy's features of their pictures."""
    if policy.image_token_id is None:
        return batch
    counter = FeatureCounter(policy.processor.image_processor, policy.image_token_id, batch.pictures)
    return batch.without(*without_faulty(batch.samples, counter.fault_of))


def _describe(request: Request, batch: Batch) -> UpdateReport:
    """Builds the part of the report that is known before training."""
    selection, samples = batch.selection, batch.samples
    tokens = [len(sample.token_ids) for sample in samples]
    metrics: dict[str, float] = {}
    if selection.rewards:
        metrics |= {"reward_mean": float(np.mean(selection.rewards)), **shaping_metrics(selection.shaping)}
    if samples:
        advantages = np.array([sample.advantage for sample in samples])
        metrics["advantage_abs_mean"] = float(np.abs(advantages).mean())
        metrics["advantage_min"], metrics["advantage_max"] = float(advantages.min()), float(advantages.max())
        metrics["tokens_mean"] = float(np.mean(tokens))
    return UpdateReport(
        version=request.version,
        parent=batch.parent.version,
        counts={**selection.counts, "samples": len(samples), "tokens": sum(tokens), "bad_samples": len(batch.bad)},
        excluded=selection.excluded,
        masked_steps={**batch.masked_steps, **Counter(f"bad_{one.fault.reason}" for one in batch.bad)},
        bad_samples=tuple(str(one) for one in batch.bad[:NAMED]),
        metrics=metrics,
    )


def _why_skipped(batch: Batch) -> str:
    return "no trainable steps" if batch.selection.members else "no signal"


def _with_gap(report: UpdateReport, gap: Gap, *, masked: int) -> UpdateReport:
    """Adds the trajectories on which trainer and server disagree to the report: counted, and the first ones named."""
    if not gap.disagreeing:
        return report
    named = [
        f"{name}: differs from what the server stored by {mean:.3g} nats" for name, mean in gap.disagreeing.items()
    ]
    return report.model_copy(
        update={
            "masked_steps": report.masked_steps | {"bad_gap": masked},
            "bad_samples": (*report.bad_samples, *named)[:NAMED],
        }
    )


def _parse(arguments: Sequence[str]) -> Request:
    parser = argparse.ArgumentParser(prog="python -m training.learning.update", description=__doc__.partition("\n")[0])
    for name in Request._fields:
        kind = int if name == "version" else Path
        parser.add_argument(f"--{name}", type=kind, required=True, metavar=kind.__name__.upper())
    return Request(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str]) -> int:
    """Runs one update; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    request = _parse(arguments)
    try:
        report = update(request)
    except (UpdateError, CorruptTrajectory) as error:
        log.error("%s", error)
        return 2
    except OSError as error:
        where = error.filename or request.report
        if is_disk_full(error):
            log.error("no space left to write %s; free some and resume", where)
        else:
            log.error("%s can't be read or written: %s", where, error.strerror or error)
        return 2
    for one in report.bad_samples:
        log.warning("left out: %s", one)
    outcome = report.skipped or f"{report.checkpoint} in {report.steps} steps"
    log.info("version %d: %s (%s)", report.version, outcome, json.dumps(report.seconds))
    return 0


if __name__ == "__main__":
    let_idle_threads_sleep()
    hide_unused_packages()
    code = main(sys.argv[1:])
    logging.shutdown()
    # Everything is on disk; unloading torch would only delay the server's next policy.
    os._exit(code)
