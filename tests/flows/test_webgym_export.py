"""`rl-loop export --format webgym`: a run's trajectories in WebGym's fields, as JSON lines and as Parquet."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from agent.types import AgentAction
from browser_service.models import Viewport
from flows.cli import app
from flows.settings.run_folder import RunFolder
from flows.webgym.exporting import export_webgym
from rollouts.async_webgym.actions import webgym_action
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import TrajectoryStore

OLD = Path(__file__).parent / "old_run"
ACTION: TypeAdapter[AgentAction] = TypeAdapter(AgentAction)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.open(Path(shutil.copytree(OLD, tmp_path / "old")))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_fields_are_in_files_by_split_iteration_and_rank(folder: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = {file.path.relative_to(out).as_posix(): file.trajectories for file in export_webgym(folder, out)}
    train = "train_trajectories/train_trajectories.iteration1_rank_0"
    test = "test_trajectories/test_trajectories.iteration0_rank_0"
    assert {f"{train}.jsonl", f"{train}.parquet", f"{test}.jsonl", f"{test}.parquet"} <= written.keys()
    rows = lines(out / f"{train}.jsonl")
    store = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))
    assert len(rows) == written[f"{train}.jsonl"] == len(store.ids())
    by_name = {row["metadata"]["trajectory_id"]: row for row in rows}
    for trajectory in store:
        steps = by_name[trajectory.id]["trajectory"]
        assert len(steps) == max(1, len(trajectory.steps))
        assert steps[0].keys() >= {"observation", "action", "response", "reward", "same_as_next_screenshot"}
        assert steps[0]["observation"]["task"]["trajectory_index"] in range(len(rows))
    rewards = [row["trajectory"][-1]["reward"]["reward"] for row in rows]
    assert sorted(rewards) == [0, 0, 1, 1]
    table = pq.read_table(out / f"{train}.parquet").to_pylist()
    assert [row["trajectory"][-1]["reward"]["reward"] for row in table] == rewards
    assert [json.loads(row["metadata"]) for row in table] == [row["metadata"] for row in rows]


def test_the_command_says_how_many(folder: RunFolder, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(folder.root), "--format", "webgym", "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, done.exception
    assert done.stdout.endswith(f"files below {tmp_path / 'o'}\n")
    assert not list((tmp_path / "o").rglob("*.pt")) and not list((tmp_path / "o").rglob("*.pkl"))


def test_a_damaged_trajectory_is_one_sentence_and_leaves_no_file(folder: RunFolder, tmp_path: Path) -> None:
    name = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)).ids()[0]
    (folder.stage_dir(1, Stage.ROLLOUT) / name / "trajectory.json").write_text("{")
    with pytest.raises(LoopError, match="looks at all of them"):
        export_webgym(folder, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("train_trajectories.iteration1*"))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"kind": "click_coords", "x": 640, "y": 192}, "click(coordinates=[500, 250])"),
        ({"kind": "click_id", "id": 3}, "click(element_id='3')"),
        ({"kind": "fill_id", "id": 3, "value": "a"}, "type(element_id='3', content='a')"),
        ({"kind": "fill_coords", "x": 0, "y": 0, "value": "a"}, "type(coordinates=[0, 0], text='a')"),
        ({"kind": "page_up"}, "scroll(direction='up')"),
        ({"kind": "back"}, "goback(goback_to='last_page')"),
        ({"kind": "visit_page", "url": "http://a"}, "navigate(url='http://a')"),
        ({"kind": "answer", "text": "42"}, "answer(content='42')"),
        ({"kind": "keypress", "keys": ["Enter"]}, "keypress(keys=['Enter'], duration=0.0)"),
    ],
)
def test_actions_are_in_webgyms_words(action: dict[str, Any], words: str) -> None:
    assert webgym_action(ACTION.validate_python(action), Viewport(width=1280, height=768)).text() == words
