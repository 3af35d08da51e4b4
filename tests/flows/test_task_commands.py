"""`rl-loop tasks split`, `card` and `stats` as a user types them, bad input included."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from agent.types import Task
from environments.taskfiles.writing import write_tasks
from flows.cli import app
from storage.errors import LoopError


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def sentence(*words: object) -> str:
    found = run(*words).exception
    assert isinstance(found, LoopError), found
    return str(found)


def some(path: Path, count: int = 30) -> Path:
    tasks = (
        Task(
            id=f"t{number}",
            environment="live",
            goal=f"Find {number}.",
            start_url=f"https://s{number % 6}.example/",
            domain=f"d{number % 3}\x1b[31m",
            difficulty=1 + number % 8,
        )
        for number in range(count)
    )
    write_tasks(path, tasks)
    return path


def ids(path: Path) -> set[str]:
    return {json.loads(line)["id"] for line in path.read_text().splitlines()}


def test_a_source_is_split_by_site_with_cards(tmp_path: Path) -> None:
    source, train, heldout = some(tmp_path / "all.jsonl"), tmp_path / "train.jsonl", tmp_path / "heldout.jsonl"
    done = run("tasks", "split", source, train, heldout, "--by", "site", "--share", "0.34", "--licence", "mit")
    assert done.exit_code == 0 and done.stdout == f"20 tasks in {train}\n10 tasks in {heldout}\n"
    assert ids(train) | ids(heldout) == ids(source) and not ids(train) & ids(heldout)
    hosts = [{json.loads(line)["start_url"] for line in path.read_text().splitlines()} for path in (train, heldout)]
    assert not hosts[0] & hosts[1]
    assert "licence mit" in run("tasks", "card", heldout).stdout
    heldout.write_text(heldout.read_text().replace("Find", "See"))
    assert "is not the file of its card" in sentence("tasks", "card", heldout)


def test_stats_count_and_hide_what_a_terminal_would_obey(tmp_path: Path) -> None:
    source = some(tmp_path / "all.jsonl")
    said = run("tasks", "stats", source, "--most", "2").stdout
    assert said.startswith("30 tasks\n") and "\x1b" not in said and "d0?[31m" in said
    assert "site (6)" in said and ".. and 4 more" in said
    counts = json.loads(run("tasks", "stats", source, "--json").stdout)
    assert counts["difficulty"]["1-3"]["tasks"] == 12 and counts["tasks"] == 30


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    source = some(tmp_path / "all.jsonl")
    assert "expected a file of tasks, or --run NAME" in sentence("tasks", "stats")
    assert "there is no task file" in sentence("tasks", "stats", tmp_path / "none.jsonl")
    out = tmp_path / "out.jsonl"
    assert "expected two different files" in sentence("tasks", "split", source, out, out)
    nowhere = tmp_path / "no" / "out.jsonl"
    assert "No such file or directory" in sentence("tasks", "split", source, out, nowhere)
    assert "there is no dataset card" in sentence("tasks", "card", source)
    assert "single lines" in sentence("tasks", "card", source, "--licence", "a\nb")
    assert "there is no task file" in sentence("tasks", "card", tmp_path / "none.jsonl", "--licence", "mit")


def test_decompose_writes_each_task_with_its_parts(tmp_path: Path) -> None:
    facts = [{"id": n, "description": f"part {n}", "facts": ["One.", "Two.", "Three."]} for n in (1, 2)]
    row = {"task_id": "a", "task_name": "Do.", "website": "a.example", "evaluator_reference": facts}
    rows = [row, row | {"task_id": "b", "evaluator_reference": "One."}]
    source, out = tmp_path / "webgym.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    done = run("tasks", "decompose", source, out)
    assert done.exit_code == 0, done.exception
    assert done.output == f"4 tasks in {out}, 2 of them parts of others (label part_of)\n"
    assert ids(out) == {"a", "a.part1", "a.part2", "b"}
