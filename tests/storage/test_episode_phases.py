"""The live file gets every state of running episodes, including the last change of a burst."""

import asyncio
from pathlib import Path

from benchmarks import virtual_clock
from storage import episode_phases
from storage.episode_phases import LiveFile, read_live


def test_the_last_change_of_a_burst_is_written_and_the_file_beats(tmp_path: Path) -> None:
    async def burst() -> list[float]:
        file = LiveFile(tmp_path, 0, slots=2)
        for step in range(5):
            file.tell("a-m00", "model", step)
        await asyncio.sleep(2 * episode_phases.WRITE_EVERY_S)
        assert read_live(tmp_path)[0].episodes["a-m00"].step == 4
        written = read_live(tmp_path)[0].at
        await asyncio.sleep(episode_phases.BEAT_S + 1)
        assert read_live(tmp_path)[0].at > written
        file.forget("a-m00")
        await asyncio.sleep(2 * episode_phases.WRITE_EVERY_S)
        assert read_live(tmp_path)[0].episodes == {}
        still = read_live(tmp_path)[0].at
        await asyncio.sleep(3 * episode_phases.BEAT_S)
        return [still, read_live(tmp_path)[0].at]

    still, later = virtual_clock.run(burst())
    assert still == later, "nobody writes for a shard that is over"


def test_episodes_are_handed_over_with_their_phases_and_the_old_file_rests(tmp_path: Path) -> None:
    async def carry() -> None:
        old, new = LiveFile(tmp_path / "1", 0, slots=2), LiveFile(tmp_path / "2", 0, slots=2)
        old.tell("a-m00", "model", 4, attempt=2)
        reported = read_live(tmp_path / "1")[0].episodes
        old.hand_over(new)
        assert read_live(tmp_path / "1")[0].episodes == {} and read_live(tmp_path / "2")[0].episodes == reported
        still = read_live(tmp_path / "1")[0].at
        await asyncio.sleep(3 * episode_phases.BEAT_S)
        assert read_live(tmp_path / "1")[0].at == still
        assert read_live(tmp_path / "2")[0].at > still

    virtual_clock.run(carry())


def test_a_torn_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "live-00.json").write_text('{"at": 1')
    (tmp_path / "live-x.json").write_text("{}")
    assert read_live(tmp_path) == {}
