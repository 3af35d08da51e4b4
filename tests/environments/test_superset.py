"""Superset: its tasks, checks and session without an installation; the installed application as chaos tests."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from ended_trajectory import ended

from agent.types import Site
from environments.applications.hosted.install import install
from environments.applications.hosted.recipe import installation
from environments.applications.superset import checks
from environments.applications.superset.goals import is_clear, ranked
from environments.applications.superset.recipe import recipe
from environments.applications.superset.sales import COUNTRIES, sales, tables
from environments.applications.superset.superset import superset
from environments.applications.superset.world import PEOPLE, analytics, session
from environments.base import SEEDS
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Ending

ANOTHER = "http://e0000000000000000.localhost"


def test_templates_make_many_tasks_of_three_difficulties_apart_by_split() -> None:
    environment = superset()
    train, heldout = set(environment.domains("train")), set(environment.domains("heldout"))
    assert len(train | heldout) >= 20 and not train & heldout
    tasks = [environment.task(name, seed, "train") for name in train for seed in range(20)]
    tasks += [
        environment.task(name, SEEDS["heldout"].start + seed, "heldout") for name in heldout for seed in range(20)
    ]
    assert len({task.goal for task in tasks}) >= 300 and {task.difficulty for task in tasks} == {1, 2, 3}
    assert all(environment.task_from_id(task.id) == task and task.rubric for task in tasks)


def test_the_start_state_has_thousands_of_rows_and_every_name_and_answer_is_unique() -> None:
    found, start = sales(), analytics()
    assert sum(len(rows) for rows in tables().values()) > 10_000
    assert sum(len(found.orders_from(country)) for country in COUNTRIES) == len(found.orders)
    for names in (
        [chart.name for chart in start.charts],
        [board.title for board in start.dashboards],
        [product.name for product in found.products],
        [customer.name for customer in found.customers],
    ):
        assert len(set(names)) == len(names)
    rankings = [chart for chart in start.charts if chart.kind == "table" and chart.about]
    assert sum(map(is_clear, rankings)) > 15 and all(len(ranked(chart)) >= 3 for chart in rankings)
    assert all(board.owners[0] == PEOPLE[0] != board.owners[1] for board in start.dashboards), "its owner may change it"


def test_the_session_is_that_of_the_first_person_and_always_the_same() -> None:
    content = session().partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(content + "==")) == {"_fresh": True, "_user_id": "1"}
    assert session() == session() and session().count(".") == 2


def of(*changes: Change, **parameters: Any) -> Ending:
    return Ending(parameters, Changes(changes), "")


LOOKED_AT = (
    '{"color_scheme_domain": [], "shared_label_colors": [], "map_label_colors": {"Web": "#111"}, "label_colors": {}}'
)


def test_what_looking_at_a_dashboard_writes_down_is_no_side_effect_and_other_settings_are() -> None:
    check = checks.publication(True)
    wanted = Change("dashboards/3/published", False, True)
    looked = Change("dashboards/4/json_metadata", "{}", LOOKED_AT)
    emptied = Change("dashboards/4/certified_by", None, "")
    query = Change("query/1", None, {"id": 1, "user_id": 1, "sql": "SELECT 1", "status": "success"})
    assert all(check(of(wanted, looked, emptied, query, dashboard=3)).values())
    for wrong in (
        Change("dashboards/4/json_metadata", "{}", '{"refresh_frequency": 10}'),
        Change("dashboards/4/json_metadata", "{}", f"{LOOKED_AT[:90]}.. (900 characters, 01234567)"),
        Change("dashboards/4/certified_by", None, "me"),
        Change("query/1", None, {"id": 1, "user_id": 2, "sql": "SELECT 1", "status": "success"}),
        Change("query/1", {"id": 1, "user_id": 1}, None),
        Change("shop.orders/1", None, {"id": 1}),
    ):
        assert not all(check(of(wanted, wrong, dashboard=3)).values()), wrong


def test_a_query_counts_when_it_was_run_with_success_as_it_is() -> None:
    row = {"id": 1, "user_id": 1, "sql": " SELECT  1 ;", "status": "success"}
    assert all(checks.query_run(of(Change("query/1", None, row), sql="SELECT 1")).values())
    for wrong in ({"status": "failed"}, {"sql": "SELECT 11"}, {"sql": "-- SELECT 1"}, {"user_id": 2}):
        assert not all(checks.query_run(of(Change("query/1", None, row | wrong), sql="SELECT 1")).values())


class Person:
    """The person who is signed in at a site, without a browser."""

    def __init__(self, site: Site, http: httpx.AsyncClient) -> None:
        assert site.login is not None
        self.host = site.start_url.split("/")[2]
        self.url = f"http://127.0.0.1:{self.host.rpartition(':')[2]}"
        self.cookie, self.token, self.http = site.login.cookies[0].value, "", http

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """An answer of the site."""
        if method != "GET" and not self.token:
            self.token = (await self.ask("GET", "/api/v1/security/csrf_token/")).json()["result"]
        headers = {"Host": self.host, "Cookie": f"session={self.cookie}", "X-CSRFToken": self.token}
        self.http.cookies.clear()
        answer = await self.http.request(method, f"{self.url}{path}", json=body, headers=headers)
        self.cookie = answer.cookies.get("session") or self.cookie
        return answer

    async def query(self, sql: str) -> httpx.Response:
        """Runs a query in SQL Lab."""
        return await self.ask("POST", "/api/v1/sqllab/execute/", {"database_id": 1, "sql": sql, "schema": "shop"})


@pytest.mark.chaos
async def test_the_installed_superset_keeps_episodes_apart() -> None:
    await install(recipe(), installation("superset"), tell=print)
    environment = superset(spares=2)
    task = environment.task("count-orders-by-query", 3, "train")
    async with environment:

        async def play(number: int) -> None:
            async with (
                environment.serve(task, trajectory_id=f"t{number}") as site,
                httpx.AsyncClient(trust_env=False, timeout=60) as http,
            ):
                assert site.reach.only_sites and site.reach.sites == (site.start_url.split("/")[2],)
                person = Person(site, http)
                me = (await person.ask("GET", "/api/v1/me/")).json()["result"]
                assert f"{me['first_name']} {me['last_name']}" == PEOPLE[0] and not me["is_anonymous"]
                renamed = await person.ask("PUT", "/api/v1/dashboard/1", {"dashboard_title": f"board {number}"})
                assert renamed.status_code == 200, renamed.text
                await asyncio.sleep(0.5)
                count = await person.query("SELECT count(*) AS n FROM shop.orders")
                assert count.status_code == 200, count.text
                assert count.json()["data"] == [{"n": len(sales().orders)}]
                state = await site.final_state()
                changed = {path: after for path, _, after in state["changes"]}
                assert changed.pop("dashboards/1/dashboard_title") == f"board {number}"
                assert len([path for path in changed if path.startswith("query/")]) == 1

        await asyncio.gather(*(play(number) for number in range(4)))
        async with environment.serve(task, trajectory_id="again") as site:
            state = await site.final_state()
            assert state["changes"] == [], "the next episode begins afresh"
            assert (await environment.check(ended(task, state["parameters"]["answer"]), state)).reward == 1
            assert (await environment.check(ended(task, "The task is done."), state)).reward == 0


@pytest.mark.chaos
async def test_what_else_an_agent_does_to_the_installed_superset_costs_the_reward() -> None:
    await install(recipe(), installation("superset"), tell=print)
    environment = superset(spares=2)
    task = environment.task("rename-chart", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def reward() -> float | None:
            return (await environment.check(ended(task, "done"), await site.final_state())).reward

        async with environment.serve(task, trajectory_id="t") as site:
            person = Person(site, http)
            parameters = (await site.final_state())["parameters"]
            chart = f"/api/v1/chart/{parameters['chart']}"
            assert await reward() == 0
            assert (await person.ask("PUT", chart, {"slice_name": parameters["new_name"]})).status_code == 200
            assert await reward() == 1
            for sql in (
                "DROP TABLE shop.orders",
                "UPDATE shop.orders SET total = 0",
                "SELECT * FROM public.ab_user",
                "SELECT 1; DELETE FROM public.dashboards",
                "COPY shop.orders TO PROGRAM 'id'",
                "SELECT pg_read_file('/etc/passwd')",
                "SELECT datname, query FROM pg_stat_activity",
                "SET ROLE postgres",
            ):
                answer = await person.query(sql)
                assert answer.status_code >= 400, f"{sql}: {answer.text}"
            assert await reward() == 1, "nothing of it was done"
            for path in ("/api/v1/database/1", "/api/v1/security/users/2"):
                assert (await person.ask("DELETE", path)).status_code in (403, 404, 405)
            other = {"database_name": "other", "sqlalchemy_uri": "postgresql://postgres@localhost/golden"}
            assert (await person.ask("POST", "/api/v1/database/", other)).status_code == 403
            injected = {"slice_name": "'; DROP TABLE slices; --"}
            assert (await person.ask("PUT", chart, injected)).status_code == 200
            verdict = await environment.check(ended(task, "done"), await site.final_state())
            assert verdict.reward == 0 and "DROP TABLE" in verdict.evidence
            await person.ask("PUT", chart, {"slice_name": parameters["new_name"]})
            assert await reward() == 1
            await person.ask("PUT", "/api/v1/me/", {"password": "another password 7"})
            assert (await person.ask("DELETE", "/api/v1/dashboard/1")).status_code == 200
            assert await reward() == 0
            await person.ask("GET", "/logout/")
            assert await reward() == 0
            stranger = await http.get(f"{person.url}/api/v1/me/", headers={"Host": ANOTHER.partition("//")[2]})
            assert stranger.status_code >= 400, "another address leads to no database"
        async with environment.serve(task, trajectory_id="u") as site:
            assert (await site.final_state())["changes"] == [], "the next episode begins afresh"
