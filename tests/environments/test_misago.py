"""The forum: its tasks and checks without an installation; the installed application as a chaos test."""

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ended_trajectory import ended

from environments.applications.hosted.install import check_installed, install
from environments.applications.hosted.recipe import INSIDE, installation
from environments.applications.misago.misago import misago
from environments.applications.misago.recipe import recipe
from environments.applications.misago.world import forum, world
from environments.base import SEEDS, EnvironmentBroken


def test_templates_make_many_tasks_of_three_difficulties_apart_by_split() -> None:
    environment = misago()
    train, heldout = set(environment.domains("train")), set(environment.domains("heldout"))
    assert train and heldout and not train & heldout
    tasks = [environment.task(name, seed, "train") for name in train for seed in range(20)]
    tasks += [
        environment.task(name, SEEDS["heldout"].start + seed, "heldout") for name in heldout for seed in range(20)
    ]
    assert len({task.goal for task in tasks}) >= 60 and {task.difficulty for task in tasks} == {1, 2, 3}
    assert all(environment.task_from_id(task.id) == task and task.rubric for task in tasks)


def test_the_start_state_has_thousands_of_posts_and_every_answer_is_unique() -> None:
    titles = [thread.title for thread in forum().threads]
    assert all(thread.first_post > 0 and thread.replies == len(thread.posters) - 1 for thread in forum().threads)
    assert sum(len(thread["posts"]) for thread in world()["threads"]) > 2_000 and len(set(titles)) == len(titles)


async def test_an_application_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentBroken, match="is not installed; run `rl-loop environments install misago`"):
        check_installed(recipe(), installation("misago", tmp_path))
    (tmp_path / "misago").mkdir()
    (tmp_path / "misago" / "installed.json").write_text('{"packages": "x", "data": "y"}')
    with pytest.raises(EnvironmentBroken, match="with other data or packages"):
        check_installed(recipe(), installation("misago", tmp_path))


def test_the_host_name_chooses_the_database_and_other_hosts_get_nothing() -> None:
    spec = importlib.util.spec_from_file_location("misago_tenants", INSIDE / "tenants.py")
    assert spec is not None and spec.loader is not None
    tenants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tenants)
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield tenants.database().encode()

        def close(self) -> None:
            closed.append(tenants.database())

    def serve(host: str, path: str = "/") -> tuple[str, bytes]:
        statuses: list[str] = []
        application = tenants.Tenants(lambda environ, start: Body())
        body = b"".join(application({"HTTP_HOST": host, "PATH_INFO": path}, lambda status, _: statuses.append(status)))
        return "".join(statuses), body

    one, other = f"e{'0' * 16}", f"e{'1' * 16}"
    assert serve(f"{one}.localhost:80") == ("", one.encode()) and serve(f"{other}.localhost")[1] == other.encode()
    assert closed == [one, other] and tenants.database() == "no-episode"
    for host in ("localhost", "golden.localhost", f"{one}.localhost.example.com", f"x{one}.localhost", ""):
        assert serve(host)[0].startswith("404")
    assert serve("127.0.0.1:80", "/healthz") == ("200 OK", b"ok")


@pytest.mark.chaos
async def test_the_installed_forum_keeps_episodes_apart() -> None:
    await install(recipe(), installation("misago"), tell=print)
    environment = misago(spares=2)
    task = environment.task("count-replies", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def play(number: int) -> None:
            async with environment.serve(task, trajectory_id=f"t{number}") as site:
                host = site.start_url.split("/")[2]
                assert site.login is not None and site.reach.sites == (host,) and site.reach.only_sites
                url = f"http://127.0.0.1:{host.rpartition(':')[2]}"
                cookie = f"sessionid={site.login.cookies[0].value}"
                page = await http.get(f"{url}/", headers={"Host": host, "Cookie": cookie})
                assert page.status_code == 200 and '"isAuthenticated": true' in page.text.replace("&quot;", '"')
                state = await site.final_state()
                assert state["changes"] == []
                assert (await environment.check(ended(task, state["parameters"]["answer"]), state)).reward == 1
                assert (await environment.check(ended(task, "The task is done."), state)).reward == 0

        await asyncio.gather(*(play(number) for number in range(4)))


@pytest.mark.chaos
async def test_what_else_an_agent_does_to_the_installed_forum_costs_the_reward() -> None:
    await install(recipe(), installation("misago"), tell=print)
    environment = misago(spares=2)
    task = environment.task("like-recent", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def reward() -> float | None:
            return (await environment.check(ended(task, "done"), await site.final_state())).reward

        async with environment.serve(task, trajectory_id="t") as site:
            host = site.start_url.split("/")[2]
            url = f"http://127.0.0.1:{host.rpartition(':')[2]}"
            assert site.login is not None
            cookie = f"sessionid={site.login.cookies[0].value}"
            page = await http.get(f"{url}/", headers={"Host": host, "Cookie": cookie})
            token = page.cookies["csrftoken"]
            headers = {"Host": host, "Cookie": f"{cookie}; csrftoken={token}", "X-CSRFToken": token}
            parameters = (await site.final_state())["parameters"]
            number, post = parameters["number"], parameters["post"]

            async def like(thread: int, which: int) -> None:
                wish = [{"op": "replace", "path": "is-liked", "value": True}]
                answer = await http.patch(f"{url}/api/threads/{thread}/posts/{which}/", json=wish, headers=headers)
                assert answer.status_code == 200, answer.text

            assert await reward() == 0
            await like(number, post)
            assert await reward() == 1
            details = {"location": "'; DROP TABLE misago_threads_post; --", "real_name": "", "bio": ""}
            await http.post(f"{url}/api/users/1/edit-details/", json=details, headers=headers)
            verdict = await environment.check(ended(task, "done"), await site.final_state())
            assert verdict.reward == 0 and "DROP TABLE" in verdict.evidence
            details["location"] = ""
            await http.post(f"{url}/api/users/1/edit-details/", json=details, headers=headers)
            password = {"password": "password1", "new_password": "another password 7"}
            await http.post(f"{url}/api/users/1/change-password/", json=password, headers=headers)
            await like(1, 1)
            assert await reward() == 0
            await http.post(f"{url}/api/auth/", headers=headers)
            assert await reward() == 0, "a session that is over changes nothing more"
        async with environment.serve(task, trajectory_id="u") as site:
            assert (await site.final_state())["changes"] == [], "the next episode begins afresh"
