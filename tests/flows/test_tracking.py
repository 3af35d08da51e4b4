"""Logging to MLflow: each committed stage once, despite crashes; and no loss while the server is down."""

import csv
import logging
from hashlib import sha256
from pathlib import Path

import pytest
from eventually import until
from mlflow import MlflowClient
from mlflow.tracing.client import TracingClient

from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickId, Observation, Screenshot, Viewport
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.tracking import tracking
from flows.tracking.curated import SHOWN
from flows.tracking.domains import draw_domains
from flows.tracking.pages import log_tags
from flows.tracking.samples import choose_samples
from flows.tracking.tables import log_tables, tables
from flows.tracking.traces import assessment
from storage.stages import Histogram, Stage, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import write_verdicts

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:unclosed:ResourceWarning"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """MLflow on a database of its own, without a server; making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    client = tracking.connect(f"sqlite:///{folder}/mlflow.db")
    client.create_experiment(tracking.EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    return client


@pytest.fixture
def folder(config: LoopConfig) -> RunFolder:
    """A run with one evaluation of two trajectories, one of them successful."""
    folder = RunFolder.create("small", config)
    directory = folder.stage_dir(0, Stage.EVALUATE)
    store = TrajectoryStore(directory)
    verdicts: list[Verdict] = []
    for member, reward in enumerate((0.0, 1.0)):
        trajectory = Trajectory(
            id=f"e0000-click-test.1000000-m{member:02d}",
            task=Task(id="click-test.1000000", environment="miniwob", domain="click-test", seed=1_000_000),
            goal="Click the <button>.",
            group="e0000-click-test.1000000",
            member=member,
            iteration=0,
            steps=(),
            stop=StopReason.DONE,
        )
        store.write(trajectory, {})
        verdicts.append(Verdict(trajectory_id=trajectory.id, reward=reward, judge="verifier"))
    (directory / "verdicts.jsonl").write_text("".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts))
    folder.finish(
        StageReport(stage=Stage.EVALUATE, iteration=0, seconds=3.0, metrics={"success_rate": 0.5, "judged": 2})
    )
    return folder


def history(client: MlflowClient, run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run_id, metric)]


def test_a_stage_is_logged_once_even_when_the_marker_was_lost(client: MlflowClient, folder: RunFolder) -> None:
    run_id = tracking.create_run(client, folder)
    (report,) = folder.reports()
    marker = folder.stage_dir(0, Stage.EVALUATE) / "logged.json"

    for _ in range(2):
        tracking.log_stage(client, run_id, folder, report)
        marker.unlink()
        tracking.log_stage(client, run_id, folder, report)

    assert history(client, run_id, "evaluate/success_rate") == [(0, 0.5)]
    assert history(client, run_id, "time/evaluate_s") == [(0, 3.0)]
    shown = {Path(item.path).name for item in client.list_artifacts(run_id, "samples/evaluate/0000")}
    assert {f"e0000-click-test.1000000-m{member:02d}.html" for member in (0, 1)} <= shown
    parameters = client.get_run(run_id).data.params
    assert parameters["rollout.group_size"] == "2" and not any(key.startswith("services") for key in parameters)


def test_a_late_request_of_a_killed_process_adds_no_point(
    client: MlflowClient, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = tracking.create_run(client, folder)
    (report,) = folder.reports()
    with monkeypatch.context() as patched:
        # Neither process sees the points of the other: both requests are on their way.
        patched.setattr(MlflowClient, "get_metric_history", lambda *_: [])
        for _ in range(2):
            (folder.stage_dir(0, Stage.EVALUATE) / "logged.json").unlink(missing_ok=True)
            assert tracking.log_stage(client, run_id, folder, report)
    assert history(client, run_id, "evaluate/success_rate") == [(0, 0.5)]
    assert history(client, run_id, "time/evaluate_s") == [(0, 3.0)]


def report_of(stage: Stage, iteration: int, metrics: dict[str, float], **counts: int) -> StageReport:
    return StageReport(stage=stage, iteration=iteration, seconds=1.5, metrics=metrics, counts=counts)


def test_what_people_compare_is_a_metric_and_everything_is_in_a_table() -> None:
    by_domain = {"success_rate_by_domain/=cmd": 0.25, "judged_by_domain/=cmd": 4.0, "episodes_by_difficulty/1": 4.0}
    judged = report_of(Stage.JUDGE, 2, {"success_rate": 0.75, "judged": 4, "go_back_rate": 0.5, **by_domain})
    reports = [
        report_of(Stage.JUDGE, 1, {"success_rate": 0.5, "judged": 4}),
        judged,
        report_of(Stage.ROLLOUT, 2, {"steps_per_s": 3.0}, failed=1),
        report_of(Stage.POLICY_UPDATE, 2, {"loss": 0.125, "gap_max": 0.5}, samples=9),
    ]

    named = tracking.metrics_of(judged)
    assert {name: round(value, 3) for name, value in named.items()} == {
        "rollout/success_rate": 0.75,
        "rollout/success_low": 0.301,
        "rollout/success_high": 0.954,
        "time/judge_s": 1.5,
    }
    found = tables(reports)
    rollout = list(csv.DictReader(found["rollout"].splitlines()))
    assert [row["iteration"] for row in rollout] == ["1", "2"] and rollout[1]["go_back_rate"] == "0.5"
    assert (rollout[1]["failed"], rollout[1]["steps_per_s"], rollout[0]["failed"]) == ("1.0", "3.0", "")
    groups = list(csv.DictReader(found["by_group"].splitlines()))
    assert [(row["kind"], row["group"], row["judged"]) for row in groups] == [
        ("domain", "'=cmd", "4.0"),
        ("difficulty", "1", ""),
    ], "a spreadsheet must not run a domain as a formula"
    assert next(csv.DictReader(found["train"].splitlines()))["gap_max"] == "0.5"


def test_histograms_are_a_table_and_alarms_a_tag(client: MlflowClient, folder: RunFolder) -> None:
    found = Histogram(edges=(0, 1e-3, 1.0), counts=(7, 0))
    for iteration, alarm in ((1, "entropy collapsed"), (2, "no signal at all")):
        report = StageReport(
            stage=Stage.POLICY_UPDATE, iteration=iteration, seconds=1, histograms={"gap": found}, alarms=(alarm,)
        )
        folder.finish(report)
    lines = tables(folder.reports())["histograms"].splitlines()
    assert lines == ["iteration,of,low,high,count", "1,gap,0.0,0.001,7", "2,gap,0.0,0.001,7"], "empty bins are left out"
    run_id = tracking.create_run(client, folder)
    log_tags(client, run_id, folder)
    tags = client.get_run(run_id).data.tags
    assert tags["alarms"] == "iteration 2: no signal at all\niteration 1: entropy collapsed"


def test_a_full_run_has_a_page_of_metrics_and_no_more() -> None:
    everything = {name: 0.5 for names in SHOWN.values() for name in names} | {"judged": 4.0}
    reports = [report_of(stage, 1, everything | {f"other_{number}": 1.0 for number in range(99)}) for stage in Stage]

    assert 20 <= len({name for report in reports for name in tracking.metrics_of(report)}) <= 40


def test_success_by_domain_is_drawn_where_there_is_something_to_compare(tmp_path: Path) -> None:
    def judged(iteration: int, *domains: str) -> StageReport:
        metrics = {f"{name}_by_domain/{one}": 1.0 for one in domains for name in ("success_rate", "judged")}
        return report_of(Stage.JUDGE, iteration, metrics)

    assert draw_domains([judged(1, "a")], tmp_path / "x.png") is None
    drawn = draw_domains([judged(1, "a", "b"), judged(2, "b")], tmp_path / "x.png")
    assert drawn is not None and drawn.read_bytes().startswith(b"\x89PNG")


def test_tables_and_origin_are_in_mlflow(client: MlflowClient, folder: RunFolder) -> None:
    run_id = tracking.create_run(client, folder)
    (report,) = folder.reports()

    assert tracking.log_stage(client, run_id, folder, report) and not tracking.log_stage(client, run_id, folder, report)
    log_tables(client, run_id, folder)

    assert [item.path for item in client.list_artifacts(run_id, "tables")] == ["tables/evaluate.csv"]
    tags = client.get_run(run_id).data.tags
    assert tags["preset"] == "grpo" and "CPUs" in tags["hardware"] and "secret" not in str(tags).lower()


def test_a_run_whose_id_was_not_written_down_is_found_by_its_tag(client: MlflowClient, folder: RunFolder) -> None:
    run_id = tracking.create_run(client, folder)

    assert tracking.find_run(client, folder) == run_id


def test_metrics_of_two_stages_never_share_a_name() -> None:
    rollout = StageReport(
        stage=Stage.ROLLOUT, iteration=1, seconds=1, counts={"trajectories": 4, "failed": 0, "rounds": 1}
    )
    judge = StageReport(stage=Stage.JUDGE, iteration=1, seconds=1, metrics={"episodes": 4, "failures": 0, "steps": 9})

    assert not tracking.metrics_of(rollout).keys() & tracking.metrics_of(judge).keys()


async def test_mlflow_being_away_is_a_warning(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    tracker = tracking.Tracker(folder)
    with caplog.at_level(logging.WARNING):
        tracker.wake()
        await tracker.close("FINISHED")

    assert "MLflow could not be written" in caplog.text
    assert folder.record().mlflow_run_id is None
    assert (folder.root / "learning_curve.png").exists()


async def test_a_wake_alone_writes_stages_tables_and_pictures(
    client: MlflowClient, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "reachable", lambda _: "http://127.0.0.1")
    monkeypatch.setattr(tracking, "connect", lambda _: client)
    monkeypatch.setattr(tracking, "MOST_PAUSE_S", 0.1)
    tracker = tracking.Tracker(folder)

    def artifacts() -> set[str]:
        run_id = folder.record().mlflow_run_id
        places = (None, "tables")
        return {one.path for place in places for one in client.list_artifacts(run_id, place)} if run_id else set()

    tracker.wake()
    await until(lambda: {"learning_curve.png", "timeline.png", "tables/evaluate.csv"} <= artifacts(), "the first stage")
    folder.finish(StageReport(stage=Stage.POLICY_UPDATE, iteration=1, seconds=2.0, metrics={"loss": 0.5}))
    tracker.wake()
    await until(lambda: "tables/train.csv" in artifacts(), "the second one, after the pause")
    run_id = folder.record().mlflow_run_id
    assert run_id and history(client, run_id, "train/loss") == [(1, 0.5)]
    await tracker.close("FINISHED")
    assert client.get_run(run_id).info.status == "FINISHED"


def test_samples_are_failures_first_but_not_only(folder: RunFolder) -> None:
    store = TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE))
    ids = store.ids()
    won = {ids[1]: Verdict(trajectory_id=ids[1], reward=1.0, judge="verifier")}

    assert [sample.id for sample in choose_samples(store, won, 2)] == ids
    assert [sample.id for sample in choose_samples(store, {}, 1)] == [ids[0]]


PICTURE = b"\x89PNG"
NAMED = sha256(PICTURE).hexdigest()


def played_steps() -> tuple[Step, ...]:
    shot = Screenshot(sha256=NAMED, width=160, height=210, media_type="image/png")
    page = Observation(
        url="https://site.example/", title="<b>", viewport=Viewport(width=160, height=210), screenshot=shot
    )
    said = Completion(text="click(1)", prompt_token_ids=(1, 2, 3), token_ids=(5, 6), logprobs=(-0.5, -1.5))
    return tuple(
        Step(index=index, observation=page, completion=said, action=ClickId(id=1), seconds={"think": 0.5, "step": 0.25})
        for index in range(2)
    )


@pytest.fixture
def stepped(folder: RunFolder) -> RunFolder:
    """The run with two steps in its first trajectory."""
    store = TrajectoryStore(folder.stage_dir(0, Stage.EVALUATE))
    first = store.read(store.ids()[0])
    store.forget(first.id)
    store.write(first.model_copy(update={"steps": played_steps(), "seconds": 2.0}), {NAMED: PICTURE})
    return folder


def test_a_sample_is_one_trace_with_its_verdict_wherever_a_crash_falls(
    client: MlflowClient, stepped: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = tracking.create_run(client, stepped)
    (report,) = stepped.reports()
    marker = stepped.stage_dir(0, Stage.EVALUATE) / "logged.json"

    class Killed(BaseException): ...

    def dies(*_: object) -> None:
        raise Killed

    for name in ("log_spans", "start_trace"):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(TracingClient, name, dies)
            tracking.log_stage(client, run_id, stepped, report)
    for _ in range(2):
        tracking.log_stage(client, run_id, stepped, report)
        marker.unlink()

    experiment = client.get_run(run_id).info.experiment_id
    found = {one.info.tags["trajectory"]: one for one in client.search_traces(locations=[experiment], run_id=run_id)}
    assert len(client.search_traces(locations=[experiment], run_id=run_id)) == len(found) == 2
    lost, won = (found[f"e0000-click-test.1000000-m{member:02d}"] for member in (0, 1))
    assert [(one.name, one.value, one.source.source_id) for one in lost.info.assessments] == [
        ("reward", 0.0, "verifier")
    ]
    assert [one.value for one in won.info.assessments] == [1.0]
    assert [span.name for span in lost.data.spans] == ["click-test.1000000", "step 0", "step 1"]
    step = lost.data.spans[1]
    assert step.inputs["screenshot"]["path"].startswith(f"iterations/0000/evaluate/images/{NAMED[:2]}/{NAMED}")
    assert step.outputs["action"]["kind"] == "click_id" and step.outputs["reply"] == "click(1)"
    assert step.end_time_ns - step.start_time_ns == pytest.approx(0.75e9, abs=1e6)
    assert lost.info.token_usage == {"input_tokens": 6, "output_tokens": 4, "total_tokens": 10}


def test_an_unjudged_trajectory_has_no_value() -> None:
    unjudged = assessment(Verdict(trajectory_id="t", reward=None, judge="rubric", unjudged="truncated", model="m"))
    assert unjudged.value is None and unjudged.error is not None and unjudged.source.source_type == "LLM_JUDGE"


def test_the_best_policy_is_a_query(client: MlflowClient, folder: RunFolder) -> None:
    run_id = tracking.create_run(client, folder)
    folder.finish(report_of(Stage.JUDGE, 1, {"success_rate": 0.25, "judged": 4}))
    folder.finish(report_of(Stage.POLICY_UPDATE, 1, {"loss": 0.5}, version=1))
    folder.finish(report_of(Stage.EVALUATE, 1, {"success_rate": 0.75, "judged": 2}))
    folder.finish(report_of(Stage.JUDGE, 2, {"success_rate": 0.5, "judged": 4}))
    folder.finish(report_of(Stage.POLICY_UPDATE, 2, {"loss": 0.25}, version=1))  # no signal: no version of its own
    for iteration in (1, 2):
        write_verdicts(folder.stage_dir(iteration, Stage.JUDGE), [])
    write_verdicts(folder.stage_dir(1, Stage.EVALUATE), [])
    for _ in range(2):
        for report in folder.reports():
            tracking.log_stage(client, run_id, folder, report)
            (folder.stage_dir(report.iteration, report.stage) / "logged.json").unlink()

    experiment = client.get_run(run_id).info.experiment_id
    best = [{"field_name": "metrics.evaluate/success_rate", "ascending": False}]
    models = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'", order_by=best)
    assert [model.name for model in models] == ["small-v0001", "small-v0000"]
    known = {(point.key, point.step): point.value for point in models[0].metrics or []}
    assert known["evaluate/success_rate", 1] == 0.75 and known["rollout/success_rate", 2] == 0.5
    assert ("rollout/success_rate", 1) not in known, "version 0 acted in iteration 1"
    assert models[0].tags["version"] == "1" and "v0001" in models[0].tags["checkpoint"]
    assert history(client, run_id, "rollout/success_rate") == [(1, 0.25), (2, 0.5)]
