"""Work beside the loop: the loop never waits for it, stages of a moment share a call, and the last call has seen everything."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from eventually import PATIENCE_S, until
from loop_configs import WriteConfig
from matplotlib.figure import Figure
from PIL import Image

from flows import prefect_artifacts
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.tracking import pictures
from flows.tracking.background import Background
from flows.tracking.timeline import MOST_NUMBERS, Span, draw_spans
from flows.tracking.tracking import Tracker
from storage.stages import Stage, StageReport


# ---- calls -----------------------------------------------------------------------------------------------------------
async def test_wakes_during_a_call_are_one_more_call() -> None:
    seen: list[int] = []
    asked, go_on = [0], asyncio.Event()

    async def work() -> float:
        now = asked[0]
        await go_on.wait()
        seen.append(now)
        return 0

    background = Background(work, name="copy")
    for asked[0] in (1, 2, 3):
        background.wake()
        await asyncio.sleep(0)
    assert seen == [], "nobody waits for the first call"
    go_on.set()
    await background.finish()
    assert seen == [1, 3]
    background.wake()
    await background.finish()
    assert seen == [1, 3, 3]


@pytest.mark.parametrize(("drop", "calls"), [(False, 2), (True, 1)])
async def test_stages_of_a_moment_share_a_call_and_the_end_waits_for_no_pause(drop: bool, calls: int) -> None:
    made: list[int] = []

    async def work() -> float:
        made.append(len(made))
        return 3600

    background = Background(work, name="copy")
    for _ in range(5):
        background.wake()
        await asyncio.sleep(0.01)
    assert len(made) == 1
    async with asyncio.timeout(5):
        await background.finish(drop=drop)
    assert len(made) == calls


async def test_what_was_asked_for_in_a_pause_is_done_after_it() -> None:
    made: list[int] = []

    async def work() -> float:
        made.append(len(made))
        return 0.05

    background = Background(work, name="copy")
    background.wake()
    await asyncio.sleep(0.01)
    background.wake()
    assert made == [0]
    await until(lambda: made == [0, 1], "the second call")


async def test_an_error_is_logged_and_the_next_call_is_made(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def work() -> float:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ValueError("no column success")
        return 0

    background = Background(work, name="copy")
    with caplog.at_level(logging.ERROR):
        background.wake()
        await background.finish()
    assert "copy: the work in the background failed" in caplog.text and "no column success" in caplog.text
    background.wake()
    await background.finish()
    assert calls == [0, 1]


# ---- what is called --------------------------------------------------------------------------------------------------
@pytest.fixture
def new_run(write_config: WriteConfig) -> Callable[[int], RunFolder]:
    def create(iterations: int) -> RunFolder:
        return RunFolder.create("small", load_config(write_config(iterations=iterations)))

    return create


def finish(folder: RunFolder, iteration: int, domains: tuple[str, ...] = ("a", "b")) -> None:
    by_domain = {f"{name}_by_domain/{one}": 1.0 for one in domains for name in ("success_rate", "judged")}
    metrics = {"success_rate": 0.5, **by_domain}
    folder.finish(StageReport(stage=Stage.JUDGE, iteration=iteration, seconds=1.0, metrics=metrics))


@pytest.mark.parametrize("fails", [False, True])
async def test_the_last_stages_are_shown_in_prefect_when_a_loop_ends(
    new_run: Callable[[int], RunFolder], monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    folder, shown = new_run(3), list[int]()

    async def show_run(folder: RunFolder) -> None:
        shown.append(len(folder.reports()))

    monkeypatch.setattr(prefect_artifacts, "show_run", show_run)
    with pytest.raises(RuntimeError) if fails else nullcontext():
        async with prefect_artifacts.run_shown(folder) as artifact:
            await asyncio.sleep(0.01)
            finish(folder, 1)
            artifact.wake()
            finish(folder, 2)
            if fails:
                raise RuntimeError("the update failed")
    assert shown == [0, 2], "the second version did not wait for the pause after the first"


def test_two_threads_never_write_a_run_to_mlflow_and_the_status_is_the_last_word(
    new_run: Callable[[int], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, written = Tracker(new_run(1)), list[str | None]()
    inside, go_on = threading.Event(), threading.Event()

    def log_all(status: str | None) -> None:
        inside.set()
        if status is None:
            assert go_on.wait(PATIENCE_S)
        written.append(status)

    monkeypatch.setattr(tracker, "_log_all", log_all)
    left, closing = (threading.Thread(target=tracker._log, args=[status]) for status in (None, "KILLED"))
    left.start()
    assert inside.wait(PATIENCE_S)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive() and not written, "it waits for the thread that a cancelled task left"
    go_on.set()
    for thread in (left, closing):
        thread.join(PATIENCE_S)
    tracker._log(None)
    assert written == [None, "KILLED"], "a call that is late does not make the run Running again"


# ---- pictures and reports --------------------------------------------------------------------------------------------
def test_a_name_that_is_no_formula_is_drawn_as_it_is(
    new_run: Callable[[int], RunFolder], caplog: pytest.LogCaptureFixture
) -> None:
    folder = new_run(1)
    finish(folder, 1, domains=("$%$", "$x_"))
    pictures.draw_pictures(folder)
    assert not caplog.records and all((folder.root / name).exists() for name in pictures.PICTURES)


def test_a_picture_that_cannot_be_drawn_costs_a_warning(
    new_run: Callable[[int], RunFolder], caplog: pytest.LogCaptureFixture
) -> None:
    folder = new_run(1)
    finish(folder, 1)
    (folder.root / pictures.CURVE).mkdir()
    pictures.draw_pictures(folder)
    assert "small: not every picture could be drawn" in caplog.text


def test_a_long_run_has_pictures_that_fit_a_screen(new_run: Callable[[int], RunFolder]) -> None:
    folder = new_run(200)
    for iteration in range(1, 201):
        finish(folder, iteration)
    pictures.draw_pictures(folder)

    for name in pictures.PICTURES:
        with Image.open(folder.root / name) as picture:
            assert max(picture.size) <= 2_000, (name, picture.size)
    axes = Figure().add_subplot()
    draw_spans(axes, [Span(Stage.JUDGE, number, number, number + 0.5) for number in range(1, 201)])
    assert [text.get_text() for text in axes.texts][:2] == ["8", "16"] and len(axes.texts) <= MOST_NUMBERS


def test_a_report_is_read_again_when_it_changes(new_run: Callable[[int], RunFolder]) -> None:
    folder = new_run(1)
    finish(folder, 1)
    first = folder.report(1, Stage.JUDGE)
    assert first and folder.report(1, Stage.JUDGE) is first
    folder.finish(first.model_copy(update={"seconds": 9.0}))
    again = folder.report(1, Stage.JUDGE)
    assert again and again.seconds == 9.0
    folder.done_file(1, Stage.JUDGE).unlink()
    assert folder.report(1, Stage.JUDGE) is None
