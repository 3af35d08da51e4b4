"""Work beside the loop: it never waits, the last call has seen everything, and pictures are not drawn too often."""

import asyncio
import logging
from pathlib import Path

import pytest
from loop_configs import WriteConfig
from matplotlib.figure import Figure

from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.tracking import pictures
from flows.tracking.background import Background
from flows.tracking.pictures import Pictures
from flows.tracking.timeline import MOST_NUMBERS, Span, draw_spans
from storage.stages import Stage, StageReport


async def test_wakes_during_a_call_are_one_more_call() -> None:
    seen: list[int] = []
    asked, go_on = [0], asyncio.Event()

    async def work() -> None:
        now = asked[0]
        await go_on.wait()
        seen.append(now)

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


async def test_short_stages_share_a_call_and_the_end_does_not_wait_for_the_pause() -> None:
    calls: list[float] = []

    async def work() -> None:
        calls.append(asyncio.get_running_loop().time())

    background = Background(work, name="copy", pause_s=3600)
    for _ in range(5):
        background.wake()
        await asyncio.sleep(0.01)
    assert len(calls) == 1
    async with asyncio.timeout(5):
        await background.finish()
    assert len(calls) == 2, "what was asked for during the pause is done"


async def test_an_error_is_logged_and_the_next_call_is_made(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def work() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ValueError("no column success")

    background = Background(work, name="copy")
    with caplog.at_level(logging.ERROR):
        background.wake()
        await background.finish()
    assert "copy: the work in the background failed" in caplog.text and "no column success" in caplog.text
    background.wake()
    await background.finish()
    assert calls == [0, 1]


def finish(folder: RunFolder, iteration: int) -> None:
    metrics = {
        "success_rate": 0.5,
        **{f"{name}_by_domain/{one}": 1.0 for one in "ab" for name in ("success_rate", "judged")},
    }
    folder.finish(StageReport(stage=Stage.JUDGE, iteration=iteration, seconds=1.0, metrics=metrics))


def test_pictures_are_drawn_again_when_it_is_worth_it(
    write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, used = [100.0], [0.0]
    monkeypatch.setattr(pictures.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pictures.time, "thread_time", lambda: used[0])
    monkeypatch.setattr(pictures, "draw_learning_curve", lambda _: used.__setitem__(0, used[0] + 0.5))
    folder = RunFolder.create("small", load_config(write_config()))
    finish(folder, 1)
    drawn = Pictures(folder)

    assert drawn.draw(last=False) and not drawn.draw(last=False)
    now[0] += 9.9
    assert not drawn.draw(last=False), "half a second is 5 % of ten"
    now[0] += 0.2
    assert drawn.draw(last=False) and drawn.draw(last=True)
    assert {path.name for path in folder.root.glob("*.png")} == {"timeline.png", "success_by_domain.png"}


def test_a_long_run_has_pictures_that_fit_a_screen(write_config: WriteConfig) -> None:
    folder = RunFolder.create("long", load_config(write_config(iterations=200)))
    for iteration in range(1, 201):
        finish(folder, iteration)
    Pictures(folder).draw(last=True)

    from PIL import Image

    for name in pictures.PICTURES:
        with Image.open(folder.root / name) as picture:
            assert max(picture.size) <= 2_000, (name, picture.size)
    axes = Figure().add_subplot()
    draw_spans(axes, [Span(Stage.JUDGE, number, number, number + 0.5) for number in range(1, 201)])
    assert [text.get_text() for text in axes.texts][:2] == ["8", "16"] and len(axes.texts) <= MOST_NUMBERS


def test_a_report_is_read_again_when_it_changes(write_config: WriteConfig, tmp_path: Path) -> None:
    folder = RunFolder.create("small", load_config(write_config()))
    finish(folder, 1)
    first = folder.report(1, Stage.JUDGE)
    assert first and folder.report(1, Stage.JUDGE) is first
    folder.finish(first.model_copy(update={"seconds": 9.0}))
    again = folder.report(1, Stage.JUDGE)
    assert again and again.seconds == 9.0
    folder.done_file(1, Stage.JUDGE).unlink()
    assert folder.report(1, Stage.JUDGE) is None
