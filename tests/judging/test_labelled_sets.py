"""Labelled sets: read as ours, judged once by any chain, compared with their labels; malformed rows are named."""

import csv
import json
from pathlib import Path

import pytest
from command_line import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_server import JudgeServer, Said, yes
from labelled_sets import (
    MODEL,
    did,
    png,
    reward_bench,
    reward_bench_label,
    reward_bench_step,
    verifier_bench,
    verifier_bench_row,
)

from agent.types import Answer
from browser_service.models import Back, ClickCoords, ClickId, FillCoords, FillId, Observe, VisitPage
from flows.stages.labelled import convert, judged_before
from judging.meta.labelled.browsergym_actions import action_of, answer_in, calls_of
from judging.meta.labelled.making import id_from
from storage.errors import LoopError

GOOD, BAD, ODD = "webarena.1", "webarena.2", "webarena.3"


def two_steps(task: str, *, answer: str = "send_msg_to_user('42 EUR')") -> list[dict[str, object]]:
    return [
        reward_bench_step(0, "click('24')", task=task),
        reward_bench_step(1, answer, task=task, last_action_error="TimeoutError: 500 ms"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    episodes = {
        GOOD: ("Successful", two_steps(GOOD)),
        BAD: ("Unsuccessful", two_steps(BAD)),
        ODD: ("Unsure", two_steps(ODD)),
    }
    return reward_bench(tmp_path / "arb", episodes)


def with_model(server: JudgeServer) -> list[str]:
    model = {"model": "judge-1", "base_url": server.url, "deadline_s": 5, "price": {"tokens_in": 1, "tokens_out": 10}}
    return ["judge.chain=[rubric]", f"judge.model={json.dumps(model)}"]


def test_agent_reward_bench_becomes_trajectories_with_labels(folder: Path, tmp_path: Path) -> None:
    found = convert(folder, "agentrewardbench", tmp_path / "out")
    assert found.problems == []
    assert {label.trajectory_id: label.reward for label in found.labels} == {
        id_from("webarena", MODEL, task): reward for task, reward in ((GOOD, 1.0), (BAD, 0.0), (ODD, None))
    }
    label = found.labels[0]
    assert (label.judge, label.criteria) == ("A", {"side_effect": False, "looping": True})
    one = found.store.read(id_from("webarena", MODEL, GOOD))
    assert (
        one.goal == f"Open the page of {GOOD}" and one.answer == "42 EUR" and one.task.environment == "agentrewardbench"
    )
    click, reported = one.steps
    assert click.action == ClickId(id=24) and click.effect == "recorded as: click('24')"
    assert click.feedback == "TimeoutError: 500 ms", "the error of an action stands in the step after it"
    assert reported.action == Answer(text="42 EUR") and click.observation.text == "[24] link 'Home'"
    shot = click.observation.screenshot
    assert (
        shot is not None and found.store.image(shot.sha256) == png(len(GOOD)) and (shot.width, shot.height) == (64, 40)
    )


def test_malformed_rows_are_reported_by_file_and_row(folder: Path, tmp_path: Path) -> None:
    labels = [
        reward_bench_label(GOOD, "Successful"),
        reward_bench_label(GOOD, "Unsuccessful", who="B"),
        reward_bench_label(BAD, "Perhaps"),
        reward_bench_label("webarena.9", "Successful"),
        reward_bench_label(ODD, "Unsuccessful"),
    ]
    with (folder / "data" / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, labels[0].keys())
        writer.writeheader()
        writer.writerows(labels)
    place = folder / "cleaned" / "webarena" / MODEL / f"{MODEL}_on_webarena"
    (place / f"{ODD}.json").write_text('{"goal": "x", "steps": [')
    steps = two_steps(GOOD)
    steps[0]["screenshot_path"] = "../../../../../etc/passwd"
    steps[1]["screenshot_path"] = "screenshots/none.png"
    (place / f"{GOOD}.json").write_text(json.dumps({"goal": "x", "steps": steps}))
    found = convert(folder, "agentrewardbench", tmp_path / "out")
    reported = [str(problem) for problem in found.problems]
    assert reported[0].startswith(
        "data/annotations.csv, row 4: trajectory_success: expected Successful, Unsuccessful or Unsure"
    )
    assert reported[1].startswith("data/annotations.csv, row 5: no trajectory cleaned/webarena/")
    here = f"cleaned/webarena/{MODEL}/{MODEL}_on_webarena"
    assert reported[2].startswith(
        f"{here}/{GOOD}.json, step 0: screenshot ../../../../../etc/passwd: leads out of the folder"
    )
    assert "No such file" in reported[3] and reported[4].startswith(f"{here}/{ODD}.json: ") and len(reported) == 5
    assert [label.reward for label in found.labels] == [1.0, 0.0], "the first annotator is the primary one"
    assert len(found.store.ids()) == 1


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("data/annotations.csv", "a,b\n1,2\n", "has no column benchmark, task_id, model_name, trajectory_success"),
        ("data/annotations.csv", None, "has no annotations.csv"),
    ],
)
def test_a_folder_of_another_kind_is_one_sentence(
    folder: Path, tmp_path: Path, name: str, text: str | None, sentence: str
) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(LoopError, match=sentence):
        convert(folder, "agentrewardbench", tmp_path / "out")


def test_cua_verifier_bench_becomes_trajectories_with_the_majority_of_the_blind_labels(tmp_path: Path) -> None:
    events = [
        did("visit_url", url="http://shop/lamp"),
        did("left_click", coordinate=[10, 20]),
        did("type", coordinate=[5, 6], text="lamp"),
        did("scroll", pixels=-300),
        did("terminate", status="success"),
    ]
    rows = [
        verifier_bench_row("a", events, answer="42 EUR"),
        verifier_bench_row("b", events[:1], answer="<no_answer>", pictures=0),
        verifier_bench_row("c", events[:1], answer="7"),
        verifier_bench_row("torn", events[:1], answer="7") | {"web_surfer_log": '{"arguments": {}}\n{"arguments'},
    ]
    votes = [("a", "Judge1", "Correct"), ("a", "Judge2", "Incorrect"), ("a", "Judge3", "Correct")]
    votes += [("b", "Judge1", "Incorrect"), ("c", "Judge1", "Correct"), ("c", "Judge2", "Incorrect")]
    votes += [("torn", "Judge1", "Correct"), ("none", "Judge1", "Correct"), ("a", "Judge4", "partial")]
    folder = verifier_bench(tmp_path / "cua", rows, votes)
    found = convert(folder, "cuaverifierbench", tmp_path / "out")
    assert {label.trajectory_id: label.reward for label in found.labels} == {
        id_from("internal", task): reward for task, reward in (("a", 1.0), ("b", 0.0), ("c", None), ("torn", 1.0))
    }
    reported = "\n".join(map(str, found.problems))
    assert (
        "annotations/internal-00000-of-00001.parquet, row 9: human_judgement_outcome: expected Correct or" in reported
    )
    assert "annotations, task none: no trajectory of the split internal" in reported
    assert "row 4: web_surfer_log, line 2: no JSON" in reported and len(found.problems) == 3
    one = found.store.read(id_from("internal", "a"))
    assert [step.action for step in one.steps] == [
        VisitPage(url="http://shop/lamp"),
        ClickCoords(x=10, y=20),
        FillCoords(x=5, y=6, value="lamp", press_enter=False),
        Observe(),
        Answer(text="42 EUR"),
    ]
    assert '"pixels": -300' in one.steps[3].effect, "a judge reads what our actions can't say"
    assert one.final_observation is not None and one.final_observation.screenshot is not None
    silent = found.store.read(id_from("internal", "b"))
    assert silent.answer is None and silent.steps[0].observation.screenshot is None


def test_any_chain_judges_a_labelled_set_once(
    folder: Path,
    tmp_path: Path,
    server: JudgeServer,
    run: Run,
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ["judge-report", folder, "--format", "agentrewardbench", "--set", "m", "--out", out, "--json", report]
    server.answer = lambda asked: Said("", status=400) if BAD in asked.text else Said(yes(asked))
    status, text, err = run(*arguments, *with_model(server))
    assert status == 0, err
    assert "set m against labels of" in text and "both decided on 1 trajectories, 2 without" in text
    assert "unjudged, misconfigured: 1" in text

    server.answer = lambda asked: Said(yes(asked))
    server.questions.clear()
    status, text, err = run(*arguments, *with_model(server))
    assert status == 0 and len(server.questions) == 2, "only what was not decided is asked again"
    (found,) = json.loads(report.read_text())["reports"]
    assert (found["true_positives"], found["false_positives"], found["undecided"]) == (1, 1, 1)
    assert found["false_positive_rate"][0] == 1.0 and found["cost_per_verdict"] > 0
    (wrong,) = found["disagreements"]
    assert wrong["trajectory_id"] == id_from("webarena", MODEL, BAD) and wrong["reference"] == "A"
    assert Path(wrong["places"][0]["screenshot"]).is_file()

    server.questions.clear()
    status, again, err = run(*arguments)
    assert status == 0 and server.questions == [] and "false positive: " in again, (
        "the verdicts of before, without settings"
    )
    status, _, err = run(*arguments[:4], "--set", "other", "--out", out)
    assert status == 1 and "has no verdicts of the set other; sets: m" in err
    status, _, err = run(*arguments, "rollout.shards=2")
    assert status == 1 and "expected settings of judge only" in err
    assert len(judged_before(out, "m")) == 3


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("goto('http://a/b')", VisitPage(url="http://a/b")),
        ("fill('54', 'two words')", FillId(id=54, value="two words", press_enter=False)),
        ("mouse_click(x=3, y=4.5)", ClickCoords(x=3, y=4.5)),
        ("go_back()", Back()),
        ("click('a46')", Observe()),
        ("scroll(0, 200)\nnoop()", Observe()),
        ("click('24", Observe()),
        ("__import__('os').system('x')", Observe()),
    ],
)
def test_browsergym_actions_are_read_as_data(text: str, action: object) -> None:
    assert action_of(calls_of(text)) == action


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z_]+\([-('\"\[{0-9a-z, ]*\)?", fullmatch=True))
def test_any_text_is_an_action_and_never_an_error(text: str) -> None:
    calls = calls_of(text)
    assert action_of(calls) is not None
    assert answer_in(calls) is None or isinstance(answer_in(calls), str)
