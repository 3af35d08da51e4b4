"""The preset `configs/apps.yaml` from its first stage to its last, with scripted solutions: a mix of real applications."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from real_stack import Stack

from environments.applications.hosted.install import install
from environments.applications.hosted.recipe import installation
from environments.applications.installed import INSTALLED
from flows.settings.checkout import PROJECT
from rollouts.plan import planned_groups
from storage.stages import Stage

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3_600)]


def test_the_mix_of_applications_runs_end_to_end(stack: Stack, unused: Callable[[str], str]) -> None:
    preset: dict[str, Any] = yaml.safe_load((PROJECT / "configs/apps.yaml").read_text())
    for part in preset["environment"]["parts"]:
        if part["name"] in INSTALLED:
            asyncio.run(install(INSTALLED[part["name"]].recipe(), installation(part["name"]), tell=print))
    own: dict[str, Any] = yaml.safe_load(stack.config.read_text())
    merged = preset | {key: own[key] for key in ("policy", "serving", "services", "runs_dir", "update")}
    merged["agent"] = {"model": {"kind": "scripted"}, "prompt": "compact"}
    merged["rollout"] = {"groups_per_iteration": 13, "group_size": 1, "concurrency": 2, "shards": 1}
    merged |= {"iterations": 1, "evaluate": {"every": 1, "tasks": 7}}
    path = stack.home / "apps.yaml"
    path.write_text(yaml.safe_dump(merged, sort_keys=False))
    name = unused("apps")

    done = stack.rl_loop("run", path, "--name", name)

    assert done.status == 0, done.out
    folder = stack.folder(name)
    stages = [f"{report.iteration} {report.stage}" for report in folder.reports()]
    assert stages == ["0 evaluate", "1 rollout", "1 judge", "1 policy_update", "1 evaluate"]
    played = {group.task.environment for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)}
    assert played == {"shop", "misago", "pretix", "mediawiki", "redmine", "roundcube", "superset"}
    for iteration, stage in ((0, Stage.EVALUATE), (1, Stage.JUDGE), (1, Stage.EVALUATE)):
        report = folder.report(iteration, stage)
        assert report is not None and report.metrics["success_rate"] == 1.0, report
