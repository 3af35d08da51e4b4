"""The worker's configuration and player: a dump from outside, and environments that can't be opened."""

from pathlib import Path

import pytest
from acting import make_service

from agent.episodes.watch import Watch
from agent.types import Task
from browser_service.client import BrowserPool
from dashboard.worker.config import PlayConfig
from dashboard.worker.playing import Asked, CannotPlay, Player

IMAGES = {"image": "metabase/metabase:v0.53.5.2"}


def test_the_dump_from_outside_is_for_those_that_name_none(tmp_path: Path) -> None:
    sections = {
        "bare": {"name": "metabase", "metabase": IMAGES},
        "own": {"name": "metabase", "metabase": IMAGES | {"dump": "own.dump"}},
        "shop": {"name": "shop"},
    }
    config = PlayConfig.model_validate({"environments": sections})
    assert config.with_dump(None) == config
    found = config.with_dump(tmp_path / "reports.dump").all_environments()
    assert {name: one.metabase.dump if one.metabase else None for name, one in found.items()} == {
        "bare": tmp_path / "reports.dump",
        "own": Path("own.dump"),
        **dict.fromkeys(("shop", "miniwob", "live")),
    }


async def test_an_environment_that_can_not_be_opened_is_no_bug(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    config = PlayConfig.model_validate({"environments": {"metabase": {"name": "metabase", "metabase": IMAGES}}})
    asked = Asked("r1", Task(id="p1", environment="metabase"), "metabase", "scripted", group="g", member=0, attempt=1)
    async with BrowserPool("http://127.0.0.1:1") as pool, Player(service.settings, config, pool) as player:
        with pytest.raises(
            CannotPlay, match="the environment metabase can't be opened: metabase has no dump; name one"
        ):
            await player.play(asked, Watch(), lambda sha256: None)
    service.database.close()
