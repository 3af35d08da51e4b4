"""The project tracker: its tasks and checks without an installation; the installed application as a chaos test."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from ended_trajectory import ended

from agent.types import Site
from environments.applications.hosted.install import check_installed, install
from environments.applications.hosted.provider import HostedEpisode
from environments.applications.hosted.recipe import installation
from environments.applications.redmine.checks import issue_set, number_answered
from environments.applications.redmine.recipe import recipe
from environments.applications.redmine.redmine import places, redmine
from environments.applications.redmine.world import ACTOR, AUTOLOGIN, OWN, tracker, world
from environments.base import SEEDS, EnvironmentBroken, Place
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Ending

PREFERENCES = "---\n:no_self_notified: '1'\n:auto_watch_on: []\n"
HISTORY = {
    "id": 1036,
    "notes": "",
    "user_id": 5,
    "private_notes": False,
    "journalized_id": 7,
    "journalized_type": "Issue",
}


def test_templates_make_many_tasks_of_three_difficulties_apart_by_split() -> None:
    environment = redmine()
    train, heldout = set(environment.domains("train")), set(environment.domains("heldout"))
    assert len(train) >= 20 and len(heldout) >= 10 and not train & heldout
    tasks = [environment.task(name, seed, "train") for name in train for seed in range(20)]
    tasks += [
        environment.task(name, SEEDS["heldout"].start + seed, "heldout") for name in heldout for seed in range(20)
    ]
    assert len({task.goal for task in tasks}) >= 400 and {task.difficulty for task in tasks} == {1, 2, 3}
    assert all(environment.task_from_id(task.id) == task and task.rubric for task in tasks)


def test_the_start_state_has_thousands_of_rows_and_every_answer_is_unique() -> None:
    issues = tracker().issues
    assert len({issue.subject for issue in issues}) == len(issues) >= 800
    assert sum(1 + len(issue.comments) + len(issue.entries) + len(issue.watchers) for issue in issues) > 3_000
    assert sum(issue.assignee == ACTOR and issue.is_open for issue in issues) == OWN
    for project in tracker().projects:
        assert not any(issue.is_open and issue.version == project.versions[0] for issue in issues)
        for titles in (project.versions, project.categories, [item.title for item in project.news]):
            assert len(set(titles)) == len(titles)
    assert world()["ids"]["Issue"][6] == [7, issues[6].subject]


async def test_an_application_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentBroken, match="is not installed; run `rl-loop environments install redmine`"):
        check_installed(recipe(), installation("redmine", tmp_path))


def test_a_visit_is_no_side_effect_and_another_preference_is() -> None:
    def accepted(after: str) -> bool:
        change = Change("user_preferences/1/others", PREFERENCES, PREFERENCES + after)
        return all(number_answered(Ending({"answer": "4"}, Changes((change,)), "#4")).values())

    assert accepted(":recently_used_project_ids: '3,1'\n") and accepted(":gantt_zoom: 2\n:gantt_months: 6\n")
    assert not accepted(":comments_sorting: desc\n")
    other = Change("user_preferences/2/others", PREFERENCES, PREFERENCES + ":gantt_zoom: 2\n")
    assert not number_answered(Ending({"answer": "4"}, Changes((other,)), "4"))["no_side_effects"]


def test_the_history_of_an_issue_may_tell_of_the_wanted_column_only() -> None:
    changed = Change("issues/7/priority_id", 2, 4)
    detail = {"id": 1, "journal_id": 1036, "property": "attr", "prop_key": "priority_id"}

    def accepted(*more: Change) -> bool:
        end = Ending({"number": 7, "value": 4}, Changes((changed, *more)), "done")
        return all(issue_set("priority_id")(end).values())

    assert accepted() and accepted(
        Change("journals/1036", None, HISTORY),
        Change("journal_details/1", None, detail),
        Change("issues/7/lock_version", 1, 2),
    )
    assert not accepted(Change("journals/1036", None, HISTORY | {"notes": "done!"}))
    assert not accepted(Change("journals/1036", None, HISTORY | {"journalized_id": 8}))
    assert not accepted(
        Change("journals/1036", None, HISTORY), Change("journal_details/1", None, detail | {"prop_key": "status_id"})
    )
    assert not accepted(Change("issues/7/status_id", 1, 5)) and not accepted(Change("issues/8/lock_version", 1, 2))


class Visitor:
    """A signed-in visitor of one episode, without a browser."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str) -> str:
        """The text of a page."""
        answer = await self._http.get(path)
        assert answer.status_code == 200, answer.text[:300]
        return answer.text

    async def post(self, path: str, _method: str = "post", **fields: str) -> int:
        """Sends a form with the token of a page; the answer's status."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', (await self._http.get("/projects")).text)
        token = found[1] if found else ""
        fields = {name.replace("__", "[") + ("]" if "__" in name else ""): text for name, text in fields.items()}
        return (
            await self._http.post(path, data={"authenticity_token": token, "_method": _method, **fields})
        ).status_code


@asynccontextmanager
async def visiting(url: str) -> AsyncGenerator[Visitor]:
    host = url.split("/")[2]
    address = f"http://127.0.0.1:{host.rpartition(':')[2]}"
    cookies = {"autologin": AUTOLOGIN}
    async with httpx.AsyncClient(
        base_url=address, headers={"Host": host}, cookies=cookies, trust_env=False, timeout=60, follow_redirects=False
    ) as http:
        yield Visitor(http)


@pytest.mark.chaos
async def test_the_installed_tracker_keeps_episodes_apart() -> None:
    await install(recipe(), installation("redmine"), tell=print)
    environment = redmine(spares=2)
    task = environment.task("tell-status-of-own-issue", 3, "train")
    async with environment:

        async def play(number: int) -> None:
            async with environment.serve(task, trajectory_id=f"t{number}") as site, visiting(site.start_url) as visitor:
                assert site.login is not None and site.reach.only_sites
                assert "Issues assigned to me" in await visitor.get("/my/page")
                state = await site.final_state()
                assert (await environment.check(ended(task, state["parameters"]["answer"]), state)).reward == 1
                assert (await environment.check(ended(task, "The task is done."), state)).reward == 0

        await asyncio.gather(*(play(number) for number in range(4)))


@pytest.mark.chaos
async def test_no_cache_of_the_installed_tracker_is_shared_and_no_connection_is_left() -> None:
    """Settings, found pages, names and formatted texts of 6 episodes at once, in threads of one process."""
    await install(recipe(), installation("redmine"), tell=print)
    async with places(spares=6) as provider:

        async def play(number: int) -> None:
            async with provider.fresh(f"t{number}") as place, visiting(place.url) as visitor:
                await visitor.get("/my/page")  # fills what would be shared
                mark = f"episode {number} of many"
                await _mark(place, mark)
                for _ in range(5):
                    for path in (
                        "/my/page",
                        "/projects",
                        "/search?q=unheard&wiki_pages=1",
                        "/projects/kiln/wiki/Glossary",
                    ):
                        text = await visitor.get(path)
                        assert set(re.findall(r"episode \d of many", text)) == {mark}, path
                async with place.handle.cluster.connected("postgres") as connection:
                    left = "select count(*) from pg_stat_activity where datname = $1"
                    for _ in range(50):
                        if (count := await connection.fetchval(left, place.handle.database)) == 0:
                            break
                        await asyncio.sleep(0.1)
                    assert count == 0, "a request's connection is closed with it"

        await asyncio.gather(*(play(number) for number in range(6)))


async def _mark(place: Place[HostedEpisode], mark: str) -> None:
    """Changes a setting, a project and a page of the wiki behind the application's back, as late as the others do."""
    async with place.handle.cluster.connected(place.handle.database) as connection:
        await connection.execute("UPDATE settings SET value = $1 WHERE name = 'app_title'", mark)
        await connection.execute("UPDATE projects SET name = $1 WHERE id = 2", mark)
        text = (mark + " unheard. ") * 300
        await connection.execute("UPDATE wiki_contents SET text = $1 WHERE page_id IN (9, 12)", text)


@pytest.mark.chaos
async def test_what_else_an_agent_does_to_the_installed_tracker_costs_the_reward() -> None:
    await install(recipe(), installation("redmine"), tell=print)
    environment = redmine(spares=3)
    task = environment.task("watch-issue", 3, "train")

    async def reward(site: Site) -> float | None:
        return (await environment.check(ended(task, "done"), await site.final_state())).reward

    async with environment:
        async with (
            environment.serve(task, trajectory_id="t") as site,
            environment.serve(task, trajectory_id="other") as other,
            visiting(site.start_url) as visitor,
            visiting(other.start_url) as stranger,
        ):
            number = (await site.final_state())["parameters"]["number"]
            watch = f"/watchers/watch?object_type=issue&object_id={number}"
            assert await stranger.post(watch) < 400
            assert await reward(other) == 1 and await reward(site) == 0, "another episode's address"
            assert await visitor.post(watch) < 400
            assert await reward(site) == 1
            text = "'; DROP TABLE issues; --"
            assert await visitor.post("/projects/kiln", "patch", project__description=text) < 400
            verdict = await environment.check(ended(task, "done"), await site.final_state())
            assert verdict.reward == 0 and "DROP TABLE" in verdict.evidence
        async with environment.serve(task, trajectory_id="u") as site, visiting(site.start_url) as visitor:
            assert (await site.final_state())["changes"] == [], "the next episode begins afresh"
            assert await visitor.post(watch) < 400 and await reward(site) == 1
            secret = {"new_password": "another password 7", "new_password_confirmation": "another password 7"}
            assert await visitor.post("/my/password", password="password-0", **secret) < 400
            assert await reward(site) == 0, "another password is a side effect"
        async with environment.serve(task, trajectory_id="v") as site, visiting(site.start_url) as visitor:
            assert await visitor.post(watch) < 400 and await reward(site) == 1
            assert await visitor.post("/issues/1", "delete", todo="destroy") < 400
            assert await reward(site) == 0
        async with environment.serve(task, trajectory_id="w") as site, visiting(site.start_url) as visitor:
            assert await visitor.post("/logout") < 400
            assert await visitor.post(watch) >= 300 and await reward(site) == 0, "nobody is signed in any more"
