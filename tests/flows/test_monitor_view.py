"""The monitor's picture: large cells for few episodes, the played ones first when there are too many, never wider than the window."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from watched_run import WatchedStage

from flows.monitor.model import Snapshot
from flows.monitor.monitor import Monitor
from flows.monitor.view import picture, plain_line
from flows.services.load import Browsers, Model, Services
from flows.settings.run_folder import RunFolder

BUSY = Services(Browsers(leased=30, capacity=64, queue=2), Model(running=28, waiting=12))


def drawn(
    snapshot: Snapshot, width: int, height: int, services: Services = BUSY, *, coloured: bool = True
) -> list[str]:
    out = Console(record=True, width=width, height=height, file=io.StringIO())
    out.print(picture(snapshot, services, width=width, height=height, coloured=coloured))
    return out.export_text().splitlines()


def test_twelve_episodes_have_large_cells(begun: RunFolder, played: WatchedStage) -> None:
    lines = drawn(Monitor(begun).look(), 80, 24)

    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert lines[0].startswith("a  iteration 1/2  rollout  ")
    assert lines[1].endswith("3/12   25%   16 steps")
    rows = [line.split() for line in lines if line.startswith("click-link.")]
    assert rows[0] == ["click-link.3000", "o7", "o2", "I1", "m3", "12s"]
    assert rows[1] == ["click-link.3001", "m3", "12s", "a0", "12s", ".", "."]
    text = "\n".join(lines)
    assert "success 50.0% of 2" in text and "slots 3/5 busy\n6 queued   browsers 30/64 leased, 2 waiting" in text
    assert "vLLM 28 running, 12 waiting" in text
    assert "broken attempts:   I infra BROWSER_CRASHED 2   S site NAVIGATION_TIMEOUT 1" in text
    assert lines[-2:] == [
        ". waiting 6   a allocate 1   m model 2   o done 2   I broken by infra 1",
        "number: steps (a is 10)",
    ]


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 12), (20, 5)])
def test_two_thousand_episodes_fit_into_the_window(begun: RunFolder, size: tuple[int, int]) -> None:
    stage = WatchedStage(begun, groups=250, members=8)
    stage.ends(*stage.names[:1_600], steps=2)
    stage.plays(*stage.names[1_600:1_664], phase="model", step=12)
    snapshot = Monitor(begun).look()

    lines = drawn(snapshot, *size)

    width, height = size
    assert len(lines) <= height and max(map(len, lines)) <= width
    if size == (200, 60):  # room for all, with their steps
        assert sum(line.count("m12") for line in lines) == 64 and not any(line.startswith("+") for line in lines)
    if size == (80, 24):
        [more] = [line for line in lines if line.startswith("+")]
        shown = "".join(line for line in lines if line and set(line) <= set(". oc")).replace(" ", "")
        assert shown.count("c") == 64, "the episodes that are played come before the others"
        assert (
            more
            == f"+{2_000 - len(shown):,} more: {1_600 - shown.count('o'):,} over, {336 - shown.count('.')} not over"
        )
        assert len(shown) > 1_000
        assert ". waiting 336   m model 64   o done 1,600" in "\n".join(lines)
        assert "mmmm" in "\n".join(drawn(snapshot, 80, 24, coloured=False)), "without colours the phase is told"


def test_silence_is_reported(begun: RunFolder, played: WatchedStage) -> None:
    silent = replace(Monitor(begun).look(), silent_s=310.0)

    assert "nothing written for 5m" in drawn(silent, 80, 24)[0] and "nothing written for 5m" in plain_line(silent, BUSY)


def test_a_group_that_is_larger_than_the_window(begun: RunFolder) -> None:
    stage = WatchedStage(begun, groups=2, members=199)
    stage.plays(stage.names[0], phase="act", step=1)
    snapshot = Monitor(begun).look()

    assert all(len(line) <= 60 for line in drawn(snapshot, 60, 24))
    assert sum(line.count(".") for line in drawn(snapshot, 60, 24) if set(line) <= {".", " ", "1"}) == 397
