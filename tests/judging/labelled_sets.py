"""Folders in the formats of published judges' benchmarks, with the columns and keys that their own files have."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from PIL import Image

MODEL = "GenericAgent-gpt-4o-2024-11-20"
Row = dict[str, Any]


def png(shade: int, size: tuple[int, int] = (64, 40)) -> bytes:
    """A picture of one colour."""
    data = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(data, "PNG")
    return data.getvalue()


def reward_bench_step(number: int, action: str, *, task: str, **fields: Any) -> Row:
    """A step with the keys of a cleaned file."""
    path = f"trajectories/screenshots/webarena/{MODEL}/{task}/screenshot_step_{number}.png"
    known = {"num": number, "reasoning": f"<think>I try {number}</think>", "action": action, "screenshot_path": path}
    more = {"url": f"http://shop/{number}", "last_action_error": "", "axtree_pruned": "[24] link 'Home'", "stats": {}}
    return known | more | fields


def reward_bench(folder: Path, episodes: dict[str, tuple[str, list[Row]]], labels: list[Row] | None = None) -> Path:
    """A folder with these tasks: the label of each, and its steps."""
    place = folder / "cleaned" / "webarena" / MODEL / f"{MODEL}_on_webarena"
    place.mkdir(parents=True)
    for task, (_, steps) in episodes.items():
        pictures = folder / "screenshots" / "webarena" / MODEL / task
        pictures.mkdir(parents=True)
        for number in range(len(steps)):
            (pictures / f"screenshot_step_{number}.png").write_bytes(png(40 * number + len(task)))
        record = {"benchmark": "webarena", "agent": MODEL, "goal": f"Open the page of {task}", "steps": steps}
        (place / f"{task}.json").write_text(json.dumps(record | {"summary_info": {"cum_reward": 0}}))
    rows = labels or [reward_bench_label(task, reported) for task, (reported, _) in episodes.items()]
    (folder / "data").mkdir()
    with (folder / "data" / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def reward_bench_label(task: str, reported: str, *, who: str = "A") -> Row:
    """A row of annotations.csv."""
    names = {"annotator_name": who, "benchmark": "webarena", "task_id": task, "model_name": MODEL}
    more = {"trajectory_side_effect": "No", "trajectory_optimality": "2. Suboptimal", "trajectory_looping": "Yes"}
    return names | {"trajectory_success": reported} | more


def verifier_bench(folder: Path, episodes: list[Row], votes: list[tuple[str, str, str]]) -> Path:
    """A folder with one split, `internal`; a vote is task, annotator and outcome."""
    for kind, rows in (
        ("trajectories", episodes),
        (
            "annotations",
            [{"task_id": task, "annotator": who, "human_judgement_outcome": reported} for task, who, reported in votes],
        ),
    ):
        (folder / kind).mkdir(parents=True)
        parquet.write_table(pa.Table.from_pylist(rows), folder / kind / "internal-00000-of-00001.parquet")
    return folder


def verifier_bench_row(task: str, events: list[Row], *, answer: str, pictures: int | None = None) -> Row:
    """A row of the table of trajectories: screenshots as the datasets library stores them."""
    lines = [
        json.dumps({"timestamp": "t", "type": "WebSurferEvent", "url": f"http://shop/{n}", **event})
        for n, event in enumerate(events)
    ]
    count = len(events) + 1 if pictures is None else pictures
    return {
        "task_id": task,
        "instruction": f"Find the price of {task}",
        "init_url": "http://shop/",
        "final_answer": answer,
        "is_aborted": False,
        "web_surfer_log": "\n".join(lines),
        "screenshots": [{"bytes": png(30 * n + len(task)), "path": None} for n in range(count)],
        "n_screenshots": count,
        "final_human_outcome_label": 1,
    }


def did(action: str, **arguments: Any) -> Row:
    """An event of the log."""
    return {"action": "computer_use", "arguments": {"action": action, "thoughts": "I go on", **arguments}}
