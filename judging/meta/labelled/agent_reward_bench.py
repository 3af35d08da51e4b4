"""AgentRewardBench (Lù et al., arXiv 2504.08942): 1,300 episodes of BrowserGym agents with experts' labels.

FOLDER/annotations.csv, or data/annotations.csv      a row per annotator: benchmark, task_id, model_name, trajectory_success
      /cleaned/<benchmark>/<model>/<experiment>/<task_id>.json
      /screenshots/<benchmark>/<model>/<task_id>/screenshot_step_0.png

The first annotator of an episode is the primary one, as in the benchmark's own scoring. A file of a trajectory is read as a
whole; the largest published ones have 400 MB and take some gigabytes of memory while they are read.
"""

import csv
import json
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from agent.types import Step, Task
from agent.verdict import Verdict
from browser_service.models import Observation, Observe
from judging.meta.labelled.browsergym_actions import action_of, answer_in, calls_of
from judging.meta.labelled.making import (
    Unreadable,
    id_from,
    page,
    screenshot_of,
    step,
    text_from,
    trajectory,
)
from judging.meta.labelled.protocol import HUMAN, BadSet, Example, LabelledSet, Problem

LABELS = ("annotations.csv", "data/annotations.csv")
COLUMNS = ("benchmark", "task_id", "model_name", "trajectory_success")
REWARDS = {"successful": 1.0, "unsuccessful": 0.0, "unsure": None}
MOST_BYTES = 512 << 20
"""Largest file of a trajectory that is read."""
MOST_PICTURE_BYTES = 50 << 20


class Key(NamedTuple):
    """An episode. Example: `Key("webarena", "GenericAgent-gpt-4o-2024-11-20", "webarena.400")`."""

    benchmark: str
    model: str
    task: str

    @property
    def id(self) -> str:
        """The trajectory's id."""
        return id_from(*self)


def read_agent_reward_bench(folder: Path) -> LabelledSet:
    """Reads the labels of a folder. Raises `BadSet`."""
    table = next((folder / name for name in LABELS if (folder / name).is_file()), None)
    if table is None:
        raise BadSet(f"{folder} has no annotations.csv; put the benchmark's data/annotations.csv there")
    files = {Key(*path.parts[-4:-2], path.stem): path for path in (folder / "cleaned").glob("*/*/*/*.json")}
    if not files:
        raise BadSet(f"{folder} has no trajectories; expected cleaned/<benchmark>/<model>/<experiment>/<task_id>.json")
    labels: dict[Key, Verdict] = {}
    problems: list[Problem] = []
    where = table.relative_to(folder).as_posix()
    for number, row in _rows(table):
        try:
            key, label = _label(row)
        except Unreadable as error:
            problems.append(Problem(where, f"row {number}", str(error)))
            continue
        if key not in files:
            problems.append(
                Problem(where, f"row {number}", f"no trajectory cleaned/{'/'.join(key[:2])}/*/{key.task}.json")
            )
        elif key not in labels:  # a further annotator's is not the primary label
            labels[key] = label
    return LabelledSet(list(labels.values()), problems, partial(_examples, folder, {key: files[key] for key in labels}))


def _rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows with their lines. Raises `BadSet` for another table."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise BadSet(f"{table} has no column {', '.join(missing)}; expected the benchmark's annotations.csv")
            for row in reader:
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadSet(f"{table} is no CSV in UTF-8 ({error})") from error


def _label(row: dict[str, Any]) -> tuple[Key, Verdict]:
    key = Key(*(text_from(row, name, required=True).strip() for name in ("benchmark", "model_name", "task_id")))
    label = text_from(row, "trajectory_success", required=True).strip()
    if label.lower() not in REWARDS:
        raise Unreadable(f"trajectory_success: expected Successful, Unsuccessful or Unsure, found {label[:40]!r}")
    side_effect, looping = (text_from(row, name).strip() for name in ("trajectory_side_effect", "trajectory_looping"))
    return key, Verdict(
        trajectory_id=key.id,
        reward=REWARDS[label.lower()],
        judge=text_from(row, "annotator_name").strip()[:100] or HUMAN,
        evidence=f"trajectory_success: {label}",
        criteria={
            name: value.lower() == "yes"
            for name, value in (("side_effect", side_effect), ("looping", looping))
            if value.lower() in ("yes", "no")
        },
    )


def _examples(folder: Path, files: dict[Key, Path], known: Collection[str]) -> Iterator[Example | Problem]:
    for key, path in sorted(files.items()):
        if key.id not in known:
            yield from _example(folder, key, path)


def _example(folder: Path, key: Key, path: Path) -> Iterator[Example | Problem]:
    where = path.relative_to(folder).as_posix()
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise Unreadable(f"{size >> 20} MiB is more than {MOST_BYTES >> 20}")
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict) or not isinstance(record.get("steps"), list):
            raise Unreadable("expected an object with a list of steps")
        task = Task(
            id=id_from(key.benchmark, key.task),
            environment="agentrewardbench",
            domain=key.benchmark,
            goal=text_from(record, "goal", required=True),
        )
        pages, pictures, problems = _pages(folder, where, record["steps"])
    except (OSError, ValueError, RecursionError) as error:
        yield Problem(where, "", " ".join(str(error).split())[:200] or type(error).__name__)
        return
    yield from problems
    steps, answer = _steps(record["steps"], pages)
    # The last page has no action where the environment ended the episode.
    last = steps.pop() if steps and isinstance(steps[-1].action, Observe) and not steps[-1].effect else None
    yield Example(trajectory(key.id, task, steps, last=last.observation if last else None, answer=answer), pictures)


def _pages(folder: Path, where: str, steps: list[Any]) -> tuple[list[Observation], dict[str, bytes], list[Problem]]:
    """The pages in their order, and the pictures. A lost picture is a problem, and a page without evidence."""
    pages: list[Observation] = []
    pictures: dict[str, bytes] = {}
    problems: list[Problem] = []
    for number, record in enumerate(steps):
        if not isinstance(record, dict):
            raise Unreadable(f"step {number}: expected an object, found {type(record).__name__}")
        shot = None
        if name := text_from(record, "screenshot_path"):
            try:
                data = _picture_file(folder, name).read_bytes()
                shot = screenshot_of(data)
                pictures[shot.sha256] = data
            except (OSError, Unreadable) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                problems.append(Problem(where, f"step {number}", f"screenshot {name[:200]}: {reason}"))
        text = text_from(record, "axtree_pruned") or text_from(record, "axtree")
        pages.append(page(url=text_from(record, "url"), shot=shot, text=text))
    return pages, pictures, problems


def _picture_file(folder: Path, name: str) -> Path:
    """The file below the folder. Raises `Unreadable` for a path, which comes from the record, that leads out of it."""
    parts = PurePosixPath(name).parts
    inside = parts[parts.index("screenshots") :] if "screenshots" in parts else parts
    path = folder.joinpath(*inside).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Unreadable("leads out of the folder")
    if path.stat().st_size > MOST_PICTURE_BYTES:
        raise Unreadable(f"more than {MOST_PICTURE_BYTES >> 20} MiB")
    return path


def _steps(records: list[dict[str, Any]], pages: list[Observation]) -> tuple[list[Step], str | None]:
    """The steps, and the last words to the user. The error of an action stands in the record of the step after it."""
    steps: list[Step] = []
    answer: str | None = None
    for number, (record, seen) in enumerate(zip(records, pages, strict=True)):
        words = text_from(record, "action")
        calls = calls_of(words)
        sent = answer_in(calls)
        answer = answer if sent is None else sent
        after = records[number + 1] if number + 1 < len(records) else {}
        made = step(
            number,
            seen,
            action_of(calls),
            words=words,
            thoughts=text_from(record, "reasoning"),
            error=text_from(after, "last_action_error"),
        )
        steps.append(made)
    return steps, answer
