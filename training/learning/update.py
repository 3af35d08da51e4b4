"""One policy update as a process: trajectories, verdicts and a checkpoint in, the next checkpoint and a report out.

    python -m training.learning.update --trajectories DIR --verdicts FILE --policy DIR --policies DIR --version N
                              --config FILE --report FILE [--replay DIR FILE ..]

`--replay` names the stage folder and the verdicts of an earlier iteration; `update.replay_iterations` uses them.

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
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from storage.store import CorruptTrajectory
from telemetry.log_format import start_log
from telemetry.subprocesses import called_by
from training import failpoints
from training.checkpointing.canary import TEMPERATURE, candidates, make_canary
from training.checkpointing.checkpoints import checkpoint_path, is_disk_full, read_checkpoint
from training.errors import UpdateError
from training.lean_imports import hide_peft, hide_unused_packages, without_collection
from training.learning.alarms import find_alarms, heed
from training.learning.describing import describe, tokens_per_second, why_skipped, with_gap
from training.learning.divergence import finite_scores
from training.learning.gap import Gap, measure_gap
from training.learning.made_before import made_before, with_checkpoint
from training.learning.processes import ranks
from training.learning.report import UpdateReport, require_finite, write_report
from training.learning.update_inputs import Batch, Request, check_for_training, read_batch
from training.sampling.picture_checks import FeatureCounter, without_faulty
from training.sampling.sample_checks import BadStep
from training.sampling.samples import Sample, digest
from training.settings import caller, let_idle_threads_sleep
from training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from training.learning.models import LoadedPolicy
    from training.learning.reference import ByStep
    from training.learning.scored import Scored

log = logging.getLogger("training.learning.update")


def update(request: Request) -> UpdateReport:
    """Makes the checkpoint, unless it exists or there is nothing to learn, and writes the report."""
    watch = Stopwatch()
    with watch.phase("total"):
        with watch.phase("read"):
            batch = read_batch(request)
        report = describe(batch)
        if not batch.samples:
            alarms = heed(find_alarms(report.metrics, report.counts, batch.config), batch.config)
            report = report.model_copy(update={"skipped": why_skipped(batch), "alarms": alarms})
        elif before := _made_before(request, batch):
            report = before
        else:
            with watch.phase("check"):
                check_for_training(request, batch)
            report = train(request, batch, report, watch)
    failpoints.reach("update.before_report")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report = report.model_copy(update={"seconds": report.seconds | watch.seconds, "peak_memory_bytes": peak})
    if ranks.is_first():
        write_report(report, request.report)
    return report


def train(request: Request, batch: Batch, report: UpdateReport, watch: Stopwatch) -> UpdateReport:
    """Trains the parent policy on the samples and writes the checkpoint, with its canary and optimiser state."""
    identity, recipe = digest(batch.samples), batch.recipe
    config, parent = batch.config, batch.parent
    log.info("version %d: training on %d samples of %s", request.version, len(batch.samples), parent.path)
    # torch and TRL take seconds to import, so they are imported only after the input is checked.
    with watch.phase("imports"), without_collection():
        from training.learning import lora
        from training.learning.learner import learn
        from training.learning.models import score
        from training.learning.new_version import Trained, write_version
    reference = _reference(request, batch, watch)
    with watch.phase("load"):
        policy = _load(request, batch)
        batch = batch.without(*_that_fit(batch, policy, batch.samples))
    report = describe(batch)
    if not batch.samples:
        return report.model_copy(update={"skipped": why_skipped(batch)})
    with watch.phase("compare"):
        samples, scored, gap = _compare(batch, policy, reference)
        report = with_gap(report, gap, masked=len(batch.samples) - len(samples))
    if not samples:
        return report.model_copy(update={"skipped": "no trajectory agrees with the server"})
    # Processes that share the weights score and write together; else the first does it alone.
    takes_part = ranks.is_first() or config.sharding != "none"
    candidate = candidates(samples, config.canaries) if takes_part else []
    if ranks.is_first():
        for sha256 in {sha256 for one in candidate for sha256 in one.images}:
            batch.store.bring_home(sha256)
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
            scored=scored,
        )
    speed = tokens_per_second(samples, epochs=config.epochs, seconds=watch.seconds["train"])
    metrics = report.metrics | learned.metrics | gap.metrics() | {"tokens_per_second": speed}
    alarms = heed(find_alarms(metrics, report.counts, config), config)
    report = report.model_copy(update={"steps": learned.steps, "metrics": metrics, "alarms": alarms})
    require_finite(report)
    if learned.steps == 0:
        return report.model_copy(
            update={"skipped": "no token to learn from: all are masked by max_ratio or beyond the clip range"}
        )
    if not takes_part:
        return report
    if config.lora:
        lora.merge(policy)
    with watch.phase("score"):
        after = finite_scores(score(policy, candidate, batch.store.image, temperature=TEMPERATURE))
        canary = make_canary(request.version, candidate, after, before, count=config.canaries)
    with watch.phase("write"):
        made = report.model_copy(update={"seconds": watch.seconds})
        write_version(request, batch, Trained(policy, learned.optimizer, canary, made, identity, recipe))
    if not ranks.is_first():
        return report
    return with_checkpoint(report, read_checkpoint(checkpoint_path(request.policies, request.version), verify=False))


def _made_before(request: Request, batch: Batch) -> UpdateReport | None:
    find = partial(
        made_before,
        request.policies,
        request.version,
        parent=batch.parent.version,
        samples=digest(batch.samples),
        recipe=batch.recipe,
    )
    ranks.join(batch.config.device)
    return ranks.decided_by_first(find)


def _load(request: Request, batch: Batch) -> "LoadedPolicy":
    """The parent in memory, with an adapter if only that is trained."""
    from training.learning import lora
    from training.learning.models import load_policy, pick_device

    config, parent = batch.config, batch.parent
    device = pick_device(config.device)
    if config.lora is None:
        return load_policy(parent.path, dtype=config.dtype, device=device, sharded=config.sharding == "fsdp2")
    return lora.load_with_adapter(request.policies, parent, config, device=device, seed=config.seed + request.version)


def _that_fit(batch: Batch, policy: "LoadedPolicy", samples: Sequence[Sample]) -> tuple[list[Sample], list[BadStep]]:
    """Splits off samples whose number of placeholders differs from the policy's features of their pictures."""
    if policy.image_token_id is None:
        return list(samples), []
    counter = FeatureCounter(policy.processor.image_processor, policy.image_token_id, batch.pictures)
    return without_faulty(samples, counter.fault_of)


def _reference(request: Request, batch: Batch, watch: Stopwatch) -> "ByStep | None":
    """Scores under the run's first policy, if the loss has a KL term to it and the parent is another policy."""
    config = batch.config
    if not config.kl_coefficient or config.kl_reference == "parent" or batch.parent.version == 0:
        return None
    from training.learning.reference import first_policy_scores

    with watch.phase("reference"):
        return first_policy_scores(
            request.policies,
            batch.samples,
            batch.store,
            config,
            fit=lambda policy, samples: _that_fit(batch, policy, samples)[0],
        )


def _compare(batch: Batch, policy: "LoadedPolicy", reference: "ByStep | None") -> tuple[list[Sample], "Scored", Gap]:
    """Scores all samples under the parent, and keeps those of trajectories on which trainer and server agree."""
    from training.learning.scored import Scored
    from training.learning.token_scores import computes_in_bf16, stored_scores

    config, parent = batch.config, batch.parent
    scores = stored_scores(policy, batch.samples, batch.store.image, config)
    in_bf16 = computes_in_bf16(policy, config)
    gap = measure_gap(batch.samples, scores, config, version=parent.version, in_bf16=in_bf16)
    kept = [row for row, sample in enumerate(batch.samples) if sample.trajectory_id not in gap.disagreeing]
    samples, now = [batch.samples[row] for row in kept], [scores[row] for row in kept]
    known = now if reference is None else [reference[one.trajectory_id, one.step] for one in samples]
    scored = Scored(
        parent.version,
        proximal=now if config.proximal_policy == "recomputed" else None,
        reference=known if config.kl_coefficient else None,
    )
    return samples, scored, gap


def _parse(arguments: Sequence[str]) -> Request:
    parser = argparse.ArgumentParser(prog="python -m training.learning.update", description=__doc__.partition("\n")[0])
    for name in Request._fields:
        if name != "replay":
            kind = int if name == "version" else Path
            parser.add_argument(f"--{name}", type=kind, required=True, metavar=kind.__name__.upper())
    parser.add_argument("--replay", type=Path, nargs=2, action="append", default=[], metavar=("DIR", "FILE"))
    return Request(**vars(parser.parse_args(arguments)))


def _trains_adapter(config: Path) -> bool:
    """True if the file has `lora`. A file that can't be read is for `read_batch` to refuse."""
    try:
        return bool(json.loads(config.read_bytes())["lora"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def main(arguments: Sequence[str]) -> int:
    """Runs one update; returns the exit code."""
    start_log()
    request = _parse(arguments)
    with called_by(*caller(), service="rl-loop-update"):
        return _logged(request)


def _logged(request: Request) -> int:
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
    for one in report.alarms:
        log.warning("alarm: %s", one)
    for one in report.bad_samples:
        log.warning("left out: %s", one)
    outcome = report.skipped or f"{report.checkpoint} in {report.steps} steps"
    log.info("version %d: %s (%s)", report.version, outcome, json.dumps(report.seconds))
    return 0


if __name__ == "__main__":
    let_idle_threads_sleep()
    hide_unused_packages()
    if not _trains_adapter(_parse(sys.argv[1:]).config):
        hide_peft()
    code = main(sys.argv[1:])
    logging.shutdown()
    # Everything is on disk; unloading torch would only delay the server's next policy.
    os._exit(code)
