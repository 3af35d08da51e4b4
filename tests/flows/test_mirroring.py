"""The copier beside a loop: what is finished is copied after each stage, and a run that goes on elsewhere ends here."""

import logging
from pathlib import Path

import pytest
from conftest import RlLoop
from eventually import until
from loop_configs import WriteConfig

from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.tracking.mirroring import mirrored
from storage.mirror.errors import MirrorError, MirrorTaken
from storage.mirror.mirror import fetch, read_head
from storage.mirror.objects import ObjectStore
from storage.stages import Stage, StageReport


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/copies")


@pytest.fixture
def folder(write_config: WriteConfig, store: ObjectStore) -> RunFolder:
    return RunFolder.create("small", load_config(write_config(storage={"mirror": store.address})))


def finish(folder: RunFolder, stage: Stage, iteration: int) -> None:
    folder.finish(StageReport(stage=stage, iteration=iteration, seconds=1.0))


def copied(store: ObjectStore) -> set[str]:
    head = read_head(store, "small")
    return set(head.folders) if head else set()


async def test_what_is_finished_is_copied_while_the_loop_goes_on(
    folder: RunFolder, store: ObjectStore, tmp_path: Path, rl_loop: RlLoop
) -> None:
    async with mirrored(folder) as mirror:
        assert copied(store) == {""}, "a wrong address is found before anything is played"
        finish(folder, Stage.EVALUATE, 0)
        mirror.wake()
        await until(lambda: "iterations/0000/evaluate" in copied(store), "the stage is copied")
        finish(folder, Stage.ROLLOUT, 1)
    assert copied(store) == {"", "iterations/0000/evaluate", "iterations/0001/rollout"}

    there = tmp_path / "there"
    done = rl_loop("fetch", "small", "--from", store.address, "-c", tmp_path / "loop.yaml", f"runs_dir={there}")
    assert done.status == 0 and "continues it with iteration 1, judge" in done.out.replace("\n", " "), done
    assert RunFolder.open(there / "small").reports() == folder.reports()


async def test_a_run_that_goes_on_elsewhere_ends_here(folder: RunFolder, store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(MirrorTaken, match="only one machine goes on with a run"):
        async with mirrored(folder) as mirror:
            fetch(store, "small", tmp_path / "there")
            finish(folder, Stage.EVALUATE, 0)
            mirror.wake()
            await until(lambda: mirror._taken is not None, "the copier has noticed")
            mirror.wake()
    with pytest.raises(MirrorTaken):
        async with mirrored(folder):
            raise AssertionError("nothing begins")


async def test_a_store_that_goes_away_costs_a_warning(
    folder: RunFolder, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise MirrorError(f"{store.address}: can't write it in 12 tries")

    with caplog.at_level(logging.WARNING):
        async with mirrored(folder) as mirror:
            monkeypatch.setattr(ObjectStore, "put_file", away)
            finish(folder, Stage.EVALUATE, 0)
            mirror.wake()
            await until(lambda: "is copied at the next chance" in caplog.text, "the warning")
    assert "rl-loop resume small copies what is missing" in caplog.text and copied(store) == {""}
    monkeypatch.undo()
    async with mirrored(folder):
        pass
    assert "iterations/0000/evaluate" in copied(store)
