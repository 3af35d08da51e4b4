"""A fork: a new run that begins where another run was after some iteration, with other settings.

Stages up to that iteration and their policies are taken over; the source never changes. The new folder gets its name when
it is complete, so a fork that was broken off leaves no run behind.
"""

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from flows.settings.identity import ITERATIONS, config_hash
from flows.settings.loop_config import LoopConfig, dump_config, keys_of, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.learned_set import verdicts_to_learn
from flows.tracking.logged import LOGGED
from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.names import checked_name, free_name
from storage.run_layout import RunLayout, RunRecord
from storage.stages import Stage
from training.checkpointing.checkpoints import checkpoint_path, versions

JUDGED = (Stage.ROLLOUT, Stage.JUDGE)
"""Stages of an iteration that come before its update."""
LINKED = frozenset({".png", ".webp", ".jpg", ".safetensors", ".webm", ".zip", ".pack"})
"""Suffixes of large files that are written once and replaced as a whole: linked where the disk can, not copied."""


def forked_config(source: RunFolder, overrides: Sequence[str], at: int) -> LoopConfig:
    """The source's configuration with overrides. Raises `LoopError` for changes that a fork can't make."""
    config = load_config(source.config_file, overrides)
    config = config.model_copy(update={"runs_dir": source.config.runs_dir})
    if "policy.model" in keys_of(overrides):
        raise RunFolderError(
            f"a fork takes the policies of {source.name}, so policy.model can't change; start a new run with another model"
        )
    if config.iterations <= at:
        raise RunFolderError(
            f"{ITERATIONS}={config.iterations} leaves a fork after iteration {at} nothing to do; give {ITERATIONS}={at + 1} or more"
        )
    return config


def fork(
    source: RunFolder, at: int, overrides: Sequence[str], name: str | None = None, *, judged: bool = False
) -> RunFolder:
    """Makes a run that has finished the iterations 0 to `at` of `source`. Returns it; `rl-loop resume` continues it.

    With `judged` it has the rollout and the verdicts of the next iteration, too, with all sets: the fork trains on them
    again. Raises `LoopError` if an iteration up to `at` is unfinished, the policy after it was pruned, the name is taken,
    or the configuration with `overrides` can't be used.
    """
    version = _policy_after(source, at)
    config = forked_config(source, overrides, at)
    if judged:
        _check_judged(RunFolder(source.root, config), at + 1)
    chosen = checked_name(name) if name else free_name(config.runs_dir, source.name)
    target = config.runs_dir / chosen
    if target.exists():
        raise RunFolderError(f"{target} exists already; choose another --name")
    partial = RunLayout(config.runs_dir / f".{chosen}.fork-{os.getpid()}")
    try:
        _copy(source, partial, at, version)
        for stage in JUDGED if judged else ():
            _take(source.stage_dir(at + 1, stage), partial.stage_dir(at + 1, stage))
        write_atomically(partial.config_file, dump_config(config).encode())
        record = RunRecord(
            name=chosen,
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            config_sha256=config_hash(config),
            forked_from=f"{source.name}@{at}",
        )
        partial.save_record(record)
        partial.root.rename(target)
    except OSError as error:
        raise RunFolderError(f"{target} cannot be written: {error.strerror or error}; is the disk full?") from error
    finally:
        shutil.rmtree(partial.root, ignore_errors=True)
    return RunFolder.open(target)


def last_forkable(source: RunFolder) -> int:
    """The last iteration whose stages are all finished. Raises `RunFolderError` if there is none."""
    unfinished = source.next_stage()
    last = source.config.iterations if unfinished is None else unfinished.iteration - 1
    if last < 0:
        raise RunFolderError(f"run {source.name} has not finished iteration 0, so there is nothing to fork yet")
    return last


def _policy_after(source: RunFolder, at: int) -> int:
    last = last_forkable(source)
    if at > last:
        raise RunFolderError(f"run {source.name} has finished iteration {last}, not {at}; give --at {last} or less")
    updates = (source.report(one, Stage.POLICY_UPDATE) for one in range(1, at + 1))
    version = max((report.counts["version"] for report in updates if report), default=0)
    kept = versions(source.policies)
    if version not in kept:
        raise RunFolderError(
            f"the policy of {source.name} after iteration {at} (version {version}) was pruned; versions still there: "
            f"{', '.join(map(str, kept)) or 'none'}; a larger update.keep_last keeps more"
        )
    return version


def _check_judged(source: RunFolder, iteration: int) -> None:
    """Raises `LoopError` unless the iteration is judged and has the verdicts to learn from."""
    if missing := [stage for stage in JUDGED if not source.is_done(iteration, stage)]:
        raise RunFolderError(
            f"run {source.name} has not finished the {missing[0]} of iteration {iteration}; fork at an earlier one"
        )
    verdicts_to_learn(source, iteration)


def _copy(source: RunFolder, target: RunLayout, at: int, version: int) -> None:
    target.logs.mkdir(parents=True)
    for iteration in range(at + 1):
        folder = source.iteration_dir(iteration)
        if folder.is_dir():
            _take(folder, target.iteration_dir(iteration))
    for number in versions(source.policies):
        if number <= version:
            _take(checkpoint_path(source.policies, number), checkpoint_path(target.policies, number))


def _take(folder: Path, target: Path) -> None:
    # The marks of what MLflow has belong to the source's MLflow run; the fork logs everything to its own.
    shutil.copytree(folder, target, copy_function=_link_or_copy, ignore=shutil.ignore_patterns(LOGGED, "*.partial*"))


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).suffix in LINKED:
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copy2(source, target)
