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
from training.learning.describing import describe, why_skipped, with_gap
from training.learning.divergence import finite_scores
from training.learning.made_before import made_before, with_checkpoint
from training.learning.processes import ranks
from training.learning.report import UpdateReport, require_finite, write_report
from training.learning.update_inputs import Batch, Request, check_for_training, read_batch
from training.peak_memory import peak_memory_bytes
from training.sampling.samples import digest
from training.settings import caller, let_idle_threads_sleep
from training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from training.learning.models import LoadedPolicy

log = logging.getLogger("training.learning.update")


def update(request: Request) -> UpdateReport:
    """Makes the checkpoint, unless it exists or there is nothing to learn, and writes the report."""
    watch = Stopwatch()
    with watch.phase("total"):
        with watch.phase("read"):
            batch = read_batch(request)
        report = describe(batch)
        if not batch.samples:
            report = _skipped(report, why_skipped(batch), batch)
        elif before := _made_before(request, batch):
            report = before
        else:
            with watch.phase("check"):
                check_for_training(request, batch)
            report = train(request, batch, report, watch)
    failpoints.reach("update.before_report")
    spent = {"seconds": report.seconds | watch.seconds, "peak_memory_bytes": peak_memory_bytes()}
    report = report.model_copy(update=spent)
    if ranks.is_first():
        write_report(report, request.report)
    # torchrun gives up after five minutes when one machine's processes end long before another's, which may write hundreds of GB.
    ranks.gathered(None)
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
        from training.learning.scoring.comparison import compare, score_under_others, that_fit
        from training.learning.speed import speed
    others = score_under_others(request, batch, watch)
    with watch.phase("load"):
        policy = _load(request, batch)
        batch = batch.without(*that_fit(batch, policy, batch.samples))
    report = describe(batch)
    if not batch.samples:
        return _skipped(report, why_skipped(batch), batch)
    with watch.phase("compare"):
        samples, scored, gap = compare(batch, policy, others)
        report = with_gap(report, gap, masked=len(batch.samples) - len(samples))
    if not samples:
        return _skipped(report, "no trajectory agrees with the server", batch)
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
    rate = speed(policy.model, samples, epochs=config.epochs, seconds=watch.seconds["train"], device=policy.device)
    metrics = report.metrics | learned.metrics | rate
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
        write_version(request, batch, Trained(policy, learned.optimizer, canary, made, identity, recipe, samples))
    if not ranks.is_first():
        return report
    return with_checkpoint(report, read_checkpoint(checkpoint_path(request.policies, request.version), verify=False))


def _skipped(report: UpdateReport, why: str, batch: Batch) -> UpdateReport:
    """The report of an update that makes no version. Raises Alarmed as one that makes a version does."""
    alarms = heed(find_alarms(report.metrics, report.counts, batch.config), batch.config)
    return report.model_copy(update={"skipped": why, "alarms": alarms})


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
    from training.learning.liger import use_liger
    from training.learning.models import load_policy, pick_device

    config, parent = batch.config, batch.parent
    device = pick_device(config.device)
    if config.lora is None:
        policy = load_policy(parent.path, dtype=config.dtype, device=device, sharded=config.sharding == "fsdp2")
    else:
        seed = config.seed + request.version
        policy = lora.load_with_adapter(request.policies, parent, config, device=device, seed=seed)
    use_liger(policy, config)
    return policy


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
