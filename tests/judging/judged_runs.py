"""Runs whose rollout is stored, to be judged: a real run folder without services."""

from pathlib import Path
from typing import Any

import yaml
from judge_server import JudgeServer
from judged_episodes import Episodes

from agent.types import Trajectory
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from rollouts.plan import Group, write_plan
from storage.stages import Stage
from storage.store import TrajectoryStore

GROUPS, MEMBERS = 3, 2
Judge = dict[str, Any]


def config_file(tmp_path: Path, judge: Judge) -> Path:
    model = tmp_path / "model"
    model.mkdir(exist_ok=True)
    path = tmp_path / "loop.yaml"
    data = {
        "iterations": 1,
        "runs_dir": str(tmp_path / "runs"),
        "policy": {"model": str(model)},
        "environment": {"name": "live", "tasks": {"train": "train.jsonl", "heldout": "heldout.jsonl"}},
        "judge": judge,
    }
    path.write_text(yaml.safe_dump(data))
    return path


def asking(server: JudgeServer, **fields: Any) -> Judge:
    """The rubric judge at the loopback server."""
    return {
        "chain": ["answer", "rubric"],
        "model": {"model": "judge-1", "base_url": server.url, "deadline_s": 5} | fields,
    }


def played(tmp_path: Path, judge: Judge, episodes: Episodes) -> RunFolder:
    """A run whose rollout of three groups of two is stored."""
    folder = RunFolder.create("a", load_config(config_file(tmp_path, judge)))
    base = episodes.episode()
    groups = [
        Group(group=f"i0001-t.{n}", members=MEMBERS, task=base.task.model_copy(update={"id": f"t.{n}"}))
        for n in range(GROUPS)
    ]
    write_plan(folder, 1, Stage.ROLLOUT, groups)
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    for group in groups:
        for key in group.slots(1):
            store.write(in_group(base, key.trajectory_id, group, key.member), episodes.pictures)
    return folder


def in_group(base: Trajectory, name: str, group: Group, member: int) -> Trajectory:
    own = {"id": name, "group": group.group, "member": member, "iteration": 1, "task": group.task}
    return base.model_copy(update=own | {"goal": f"{base.goal} ({group.group})"})
