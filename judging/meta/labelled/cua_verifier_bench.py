"""CUAVerifierBench (arXiv 2604.06240, microsoft/fara): 260 episodes of Fara-7B with reviewers' labels, in Parquet.

FOLDER/trajectories/<split>-*.parquet    task_id, instruction, init_url, final_answer, web_surfer_log, screenshots, ..
      /annotations/<split>-*.parquet     task_id, annotator, human_judgement_outcome, .., a row per reviewer

The label is the strict majority of the reviewers who had not seen any verifier's verdict (`human_judgement_outcome`); a
tie is undecided. `final_human_outcome_label` was adjudicated with a verifier's verdict in view and is not used. 101
episodes of the published split `internal` have no screenshots.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from agent.types import AgentAction, Step, Task
from agent.verdict import Verdict
from browser_service.models import Back, ClickCoords, FillCoords, Observation, Observe, TypeText, VisitPage
from judging.meta.labelled.making import (
    Unreadable,
    action_or_look,
    answer_action,
    id_from,
    page,
    screenshot_of,
    step,
    text_from,
    trajectory,
)
from judging.meta.labelled.protocol import BadSet, Example, LabelledSet, Problem

NO_ANSWER = "<no_answer>"
OUTCOMES = {"correct": 1.0, "incorrect": 0.0}
TEXTS = ("task_id", "instruction", "init_url", "final_answer", "web_surfer_log")
ROWS_AT_ONCE = 1
"""A row has the screenshots of an episode, some megabytes."""
ENDS = ("terminate", "stop", "done")


class Key(NamedTuple):
    """An episode. Example: `Key("internal", "aurora_17")`."""

    split: str
    task: str

    @property
    def id(self) -> str:
        """The trajectory's id."""
        return id_from(*self)


def read_cua_verifier_bench(folder: Path) -> LabelledSet:
    """Reads the labels of a folder. Raises `BadSet`."""
    tables = {kind: sorted((folder / kind).glob("*.parquet")) for kind in ("annotations", "trajectories")}
    for kind, found in tables.items():
        if not found:
            raise BadSet(
                f"{folder} has no {kind}/*.parquet; put the benchmark's folders trajectories and annotations there"
            )
    votes: dict[Key, list[tuple[str, str]]] = defaultdict(list)
    problems: list[Problem] = []
    for path in tables["annotations"]:
        for number, row in _rows(path, ("task_id", "annotator", "human_judgement_outcome")):
            try:
                key, vote = _vote(path, row)
                votes[key].append(vote)
            except Unreadable as error:
                problems.append(Problem(f"annotations/{path.name}", f"row {number}", str(error)))
    known = {
        Key(_split(path), row["task_id"])
        for path in tables["trajectories"]
        for _, row in _rows(path, ("task_id",))
        if isinstance(row["task_id"], str)
    }
    problems += [
        Problem("annotations", f"task {key.task[:100]}", f"no trajectory of the split {key.split}")
        for key in sorted(votes.keys() - known)
    ]
    labels = {key: _label(key, votes[key]) for key in sorted(votes.keys() & known)}
    return LabelledSet(list(labels.values()), problems, partial(_examples, tables["trajectories"], frozenset(labels)))


def _vote(path: Path, row: dict[str, Any]) -> tuple[Key, tuple[str, str]]:
    label = text_from(row, "human_judgement_outcome", required=True).strip().lower()
    if label not in OUTCOMES:
        raise Unreadable(f"human_judgement_outcome: expected Correct or Incorrect, found {label[:40]!r}")
    return Key(_split(path), text_from(row, "task_id", required=True)), (text_from(row, "annotator"), label)


def _label(key: Key, votes: Sequence[tuple[str, str]]) -> Verdict:
    counts = Counter(label for _, label in votes)
    decided = (
        max(OUTCOMES, key=lambda outcome: counts[outcome])
        if len(set(counts.values())) > 1 or len(counts) == 1
        else None
    )
    return Verdict(
        trajectory_id=key.id,
        reward=None if decided is None else OUTCOMES[decided],
        judge=", ".join(sorted({name for name, _ in votes if name}))[:200] or "human",
        evidence="; ".join(f"{name}: {label}" for name, label in sorted(votes)),
    )


def _examples(tables: Sequence[Path], labelled: frozenset[Key], known: Collection[str]) -> Iterator[Example | Problem]:
    for path in tables:
        for number, row in _rows(path, (*TEXTS, "screenshots")):
            where = f"trajectories/{path.name}"
            try:
                key = Key(_split(path), text_from(row, "task_id", required=True))
                if key in labelled and key.id not in known:
                    yield from _example(key, row, where, number)
            except (ValueError, RecursionError) as error:
                yield Problem(where, f"row {number}", " ".join(str(error).split())[:200] or type(error).__name__)


def _example(key: Key, row: dict[str, Any], where: str, number: int) -> Iterator[Example | Problem]:
    task = Task(
        id=id_from(*key),
        environment="cuaverifierbench",
        domain=key.split,
        goal=text_from(row, "instruction", required=True),
        start_url=text_from(row, "init_url"),
    )
    events = _events(text_from(row, "web_surfer_log"))
    pages: list[Observation] = []
    pictures: dict[str, bytes] = {}
    for place, picture in enumerate(row["screenshots"] or ()):
        data = picture.get("bytes") if isinstance(picture, dict) else None
        try:
            shot = screenshot_of(data or b"")
            pictures[shot.sha256] = data or b""
        except Unreadable as error:
            shot = None
            yield Problem(where, f"row {number}, screenshot {place}", str(error))
        pages.append(page(url=_url(events, place, task.start_url), shot=shot))
    answer_text = text_from(row, "final_answer")
    answer = None if answer_text in ("", NO_ANSWER) else answer_text
    steps, last = _steps(events, pages, task.start_url, answer)
    yield Example(trajectory(key.id, task, steps, last=last, answer=answer), pictures)


def _events(log: str) -> list[dict[str, Any]]:
    """The agent's actions in the log, which has a JSON object per line. Raises `Unreadable`."""
    events: list[dict[str, Any]] = []
    for number, line in enumerate(log.splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"web_surfer_log, line {number}: no JSON ({error})") from error
        if isinstance(event, dict) and isinstance(event.get("arguments"), dict):
            events.append(event)
    return events


def _steps(
    events: list[dict[str, Any]], pages: list[Observation], start: str, answer: str | None
) -> tuple[list[Step], Observation | None]:
    """A step per action, on the screenshot with its number; the first screenshot after them is the last page."""
    steps: list[Step] = []
    for number, event in enumerate(events):
        seen = pages[number] if number < len(pages) else page(url=_url(events, number, start), shot=None)
        arguments = event["arguments"]
        thoughts = arguments.get("thoughts")
        words = json.dumps({name: value for name, value in arguments.items() if name != "thoughts"}, ensure_ascii=False)
        made = step(
            number, seen, _action(event, answer), words=words, thoughts=thoughts if isinstance(thoughts, str) else ""
        )
        steps.append(made)
    left = pages[len(events) :]
    return steps, left[-1] if left else None


def _action(event: dict[str, Any], answer: str | None) -> AgentAction:
    arguments = event["arguments"]
    name = arguments.get("action") or event.get("action")
    point = arguments.get("coordinate")
    x, y = point if isinstance(point, list) and len(point) == 2 else (None, None)
    match name:
        case "visit_url" | "navigate":
            return action_or_look(VisitPage, url=arguments.get("url"))
        case "left_click" | "click":
            return action_or_look(ClickCoords, x=x, y=y)
        case "type" | "input_text" if x is not None:
            return action_or_look(FillCoords, x=x, y=y, value=arguments.get("text"), press_enter=False)
        case "type" | "input_text":
            return action_or_look(TypeText, value=arguments.get("text"))
        case "history_back":
            return Back()
        case _ if name in ENDS and answer is not None:
            return answer_action(answer)
        case _:
            return Observe()


def _url(events: list[dict[str, Any]], place: int, start: str) -> str:
    """The address of the page before an action: the one that the log has with the action."""
    url = events[place].get("url") if place < len(events) else events[-1].get("url") if events else start
    return url if isinstance(url, str) else start


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a table with their numbers, from 1. Raises `BadSet` for a file that is no such table."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as table:
            if missing := [name for name in columns if name not in table.schema_arrow.names]:
                raise BadSet(f"{path} has no column {', '.join(missing)}; expected a table of CUAVerifierBench")
            number = 0
            for batch in table.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise BadSet(f"{path} cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error


def _split(path: Path) -> str:
    """The split in a file's name. Example: `internal-00000-of-00002.parquet` -> `internal`."""
    return path.stem.partition("-")[0]
