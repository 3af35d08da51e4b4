"""The environment section of a configuration: mistakes are one sentence, before anything starts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import ValidationError

from agent.types import Reach, Split, Task
from environments.applications.hosted.install import install
from environments.applications.hosted.recipe import installation
from environments.applications.installed import INSTALLED
from environments.catalogs import Draw
from environments.config import APPLICATIONS, EnvironmentConfig
from environments.drawing import draw_tasks
from environments.history import TaskHistory
from environments.miniwob import MiniWob
from environments.registry import make_environment
from environments.taskfiles.reading import Reading, open_source, read_tasks

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_environment"
NAMES = [
    # An application is installed first, which takes minutes; Metabase's containers are in test_metabase.py.
    pytest.param(name, marks=pytest.mark.chaos if name in INSTALLED else ())
    for name in get_args(EnvironmentConfig.model_fields["name"].annotation)
    if name != "metabase"
]


def message_of(error: pytest.ExceptionInfo[ValidationError]) -> str:
    [only] = error.value.errors()
    return only["msg"]


def test_evaluation_plays_the_training_families_by_default() -> None:
    assert EnvironmentConfig(domains=("click-button",)).evaluation_domains == ("click-button",)
    config = EnvironmentConfig(domains=("click-button",), heldout_domains=("click-link", "click-tab"))
    assert config.evaluation_domains == ("click-link", "click-tab")


def test_a_mistyped_family_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig.model_validate({"domains": ["click-buton"]})
    assert "There is no MiniWoB++ family 'click-buton'; did you mean click-button" in message_of(error)


def test_a_mistyped_held_out_family_is_refused() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig(domains=("click-button",), heldout_domains=("click-tabs",))
    assert "did you mean click-tab" in message_of(error)


def test_a_repeated_family_is_refused() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig(domains=("click-tab", "click-tab"))
    assert "domains names a task family twice" in message_of(error)


@pytest.mark.parametrize("wrong", [{}, {"domains": []}, {"domains": ["click-tab"], "colour": 1}, {"name": "webshop"}])
def test_missing_empty_and_unknown_fields_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EnvironmentConfig.model_validate(wrong)


def test_the_environment_gets_the_configured_viewport() -> None:
    config = EnvironmentConfig.model_validate({"domains": ["click-tab"], "viewport": {"width": 320, "height": 240}})
    environment = make_environment(config)
    assert isinstance(environment, MiniWob)
    assert environment.viewport == config.viewport
    assert make_environment(EnvironmentConfig(domains=("click-tab",))).viewport.width == 160


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "heldout"])
async def test_every_environment_keeps_to_the_configuration(name: str, split: Split, tmp_path: Path) -> None:
    """Whoever adds an environment has to hand on what the configuration allows; a bundled one reaches itself alone."""
    own = {
        "miniwob": {"domains": ["click-test"]},
        "live": {"tasks": {"train": "t", "heldout": "h"}},
        "shop": {},
        "misago": {},
        "pretix": {},
        "superset": {},
        "redmine": {},
        "roundcube": {},
        "folder": {"folder": str(EXAMPLE)},
        "mix": {"parts": [{"name": "shop"}, {"name": "folder", "folder": str(EXAMPLE)}]},
    }[name]
    shut = {"blocked_hosts": ["ads.test"], "blocking": {"hosts": ["banned.test"]}, "isolation": "browser"}
    config = EnvironmentConfig.model_validate({"name": name, **own, **shut})
    task = Task(id="t", environment=name, domain="click-test", start_url="http://shop.test/", split=split)
    if name in (*APPLICATIONS, "mix"):
        (task,) = draw_tasks(config, Draw(split, 0, 0), 1, history=TaskHistory(), now=datetime.now(UTC))
    if name in INSTALLED:
        await install(INSTALLED[name].recipe(), installation(name), tell=print)
    async with make_environment(config) as environment, environment.serve(task, trajectory_id="t") as site:
        reach = site.reach
        assert reach.blocked_hosts == ("ads.test", *(("banned.test",) if split == "train" else ()))
        assert reach.isolation == "browser"
        assert reach.only_sites is (name != "live")
        assert reach.sites == ((urlsplit(site.start_url).netloc,) if name != "live" else ())


@pytest.mark.parametrize("name", ["miniwob", "shop"])
async def test_pages_are_served_on_the_address_that_other_machines_reach(name: str) -> None:
    given = {"name": name, "listen": "127.0.0.2"} | ({"domains": ["click-tab"]} if name == "miniwob" else {})
    config = EnvironmentConfig.model_validate(given)
    (task,) = draw_tasks(config, Draw("train", 1, 0), 1, history=TaskHistory(), now=datetime.now(UTC))
    async with make_environment(config) as environment, environment.serve(task, trajectory_id="t") as site:
        address = urlsplit(site.start_url)
        assert address.hostname == "127.0.0.2" and site.reach.sites == (address.netloc,)
        async with httpx.AsyncClient(trust_env=False) as browser:
            assert (await browser.get(site.start_url)).status_code == 200


def test_pages_that_only_this_machine_reaches_are_not_offered_to_others() -> None:
    with pytest.raises(ValidationError) as error:
        EnvironmentConfig.model_validate({"name": "pretix", "listen": "10.0.0.1"})
    assert "listen=10.0.0.1 is for miniwob and shop" in message_of(error)


async def test_an_environment_without_settings_is_the_open_web() -> None:
    task = Task(id="t", environment="live", start_url="http://shop.test/")
    config = EnvironmentConfig.model_validate({"name": "live", "tasks": {"train": "t", "heldout": "h"}})
    async with make_environment(config).serve(task, trajectory_id="t") as site:
        assert site.reach == Reach()


async def test_no_row_of_a_task_file_widens_what_its_environment_allows(tmp_path: Path) -> None:
    sites = {
        "sites": ["10.0.0.1:80"],
        "private_sites": ["10.0.0.1:80"],
        "only_sites": False,
        "only_private_sites": False,
    }
    wishes = sites | {"blocked_hosts": [], "isolation": "context", "reach": sites, "labels": {"sites": "10.0.0.1:80"}}
    rows = [{"id": "a", "task": "x", "start_url": "http://a.test/"} | wishes]
    rows += [Task(id="b", environment="live", goal="x", start_url="http://a.test/").model_dump() | wishes]
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    tasks = {"train": str(file), "heldout": str(file), "private_sites": ["127.0.0.1:1"], "only_private_sites": True}
    config = EnvironmentConfig.model_validate({"name": "live", "tasks": tasks, "blocked_hosts": ["ads.test"]})
    environment = make_environment(config)
    read = [task for task in read_tasks(open_source(str(file)), Reading()) if isinstance(task, Task)]
    assert read
    for task in read:
        async with environment.serve(task, trajectory_id="t") as site:
            assert site.reach == Reach(sites=("127.0.0.1:1",), only_sites=True, blocked_hosts=("ads.test",))
