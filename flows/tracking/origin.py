"""Origin of a run, as MLflow tags: the code's commit, the machine, the tasks, the algorithm."""

import hashlib
import platform
import subprocess
from pathlib import Path

import psutil

from flows.settings.checkout import PROJECT
from flows.settings.run_folder import RunFolder
from rollouts.plan import read_plan
from storage.stages import Stage

GIT_S = 10.0
"""Seconds that git may take."""


def origin_tags(folder: RunFolder) -> dict[str, str]:
    """The tags that are known when a run begins. No secret and no setting of the services is among them."""
    gigabytes = psutil.virtual_memory().total / 1e9
    tags = {
        "preset": folder.config.update.preset,
        "environment": folder.config.environment.name,
        "hardware": f"{platform.machine()}, {psutil.cpu_count()} CPUs, {gigabytes:.0f} GB, update on {folder.config.update.device}",
    }
    return tags | commit_of(PROJECT)


def task_set_tag(folder: RunFolder) -> dict[str, str]:
    """The digest of the held-out tasks, once they are drawn: two runs with equal digests can be paired by task."""
    groups = read_plan(folder, 0, Stage.EVALUATE)
    if not groups:
        return {}
    names = "\n".join(sorted(group.task.model_dump_json() for group in groups))
    return {"heldout_tasks": f"{len(groups)}, sha256 {hashlib.sha256(names.encode()).hexdigest()[:16]}"}


def commit_of(checkout: Path) -> dict[str, str]:
    """The commit of a checkout, and whether its files differ from it; nothing outside of a git checkout."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(checkout), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if not commit:
        return {}
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "git_dirty": str(bool(changes)).lower()}
