"""Files of episodes beside their databases: a folder each, which begins as the template and is removed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from environments.applications.hosted.files import Files, Folders
from environments.base import EnvironmentBroken


def notes(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """One table, whose rows are the texts of the files; without files there is no table."""
    found = {path.name: path.read_text() for path in folder.glob("*.txt")}
    return {"notes": found} if found else {}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "golden"
    (folder / "kept").mkdir(parents=True)
    (folder / "one.txt").write_text("1")
    (folder / "kept" / "large").write_text("never written in place")
    return folder


async def test_each_episode_has_files_of_its_own_that_are_removed(template: Path) -> None:
    async with Folders(Files(read=notes, linked="*/kept/*"), template) as folders:
        await asyncio.gather(folders.make("e1"), folders.make("e2"))
        (folders.folder / "e1" / "one.txt").write_text("changed")
        assert await folders.rows("e1") == {"notes": {"one.txt": "changed"}}
        assert await folders.rows("e2") == folders.start == {"notes": {"one.txt": "1"}}
        (folders.folder / "e2" / "one.txt").unlink()
        assert await folders.rows("e2") == {"notes": {}}, "each row of a table that is gone is gone"
        links = {(folders.folder / name / "kept" / "large").stat().st_nlink for name in ("e1", "e2")}
        assert links == {3}
        await folders.drop("e1")
        await folders.drop("never made")
        assert {path.name for path in folders.folder.iterdir()} == {"golden", "e2"}
        gone = folders.folder
    assert not gone.exists() and (template / "one.txt").read_text() == "1"


async def test_files_that_can_not_be_made_are_one_sentence(template: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentBroken, match="can't be copied"):
        async with Folders(Files(read=notes), tmp_path / "nothing"):
            pass
    async with Folders(Files(read=notes), template) as folders:
        await folders.make("e1")
        with pytest.raises(EnvironmentBroken, match="the files of the episode e1 can't be made"):
            await folders.make("e1")
    with pytest.raises(EnvironmentBroken, match="is gone"):
        _ = folders.folder
