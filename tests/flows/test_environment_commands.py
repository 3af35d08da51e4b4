"""`rl-loop environments ...`: what can't be played is one sentence."""

from pathlib import Path

import pytest
from conftest import RlLoop


@pytest.mark.parametrize("name", ["misago", "mediawiki"])
def test_an_application_that_is_not_installed_is_one_sentence(
    name: str, rl_loop: RlLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = rl_loop("environments", "check", name, "--browsers", "http://127.0.0.1:9")
    assert done.status == 1
    assert done.err.strip() == f"rl-loop: {name} is not installed; run `rl-loop environments install {name}`"


def test_environments_are_listed_with_their_families(rl_loop: RlLoop) -> None:
    listed = rl_loop("environments", "list").out
    assert all(
        name in listed for name in ("miniwob", "shop", "misago", "superset", "redmine", "mediawiki", "roundcube")
    )
