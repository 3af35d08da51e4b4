"""The wiki: its tasks and checks without an installation; the installed application as a chaos test."""

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from ended_trajectory import ended
from eventually import until

from environments.applications.hosted.install import install
from environments.applications.hosted.recipe import installation
from environments.applications.installed import INSTALLED
from environments.applications.mediawiki.mediawiki import mediawiki, places
from environments.applications.mediawiki.recipe import recipe
from environments.applications.mediawiki.wikitext import digest, sections, with_category, with_section, with_topic
from environments.applications.mediawiki.world import wiki, world
from environments.base import SEEDS
from environments.tasks.application import ApplicationEnvironment
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Ending

RECORDED = Path(__file__).with_name("recorded") / "mediawiki.json"


def test_templates_make_many_tasks_of_three_difficulties_apart_by_split() -> None:
    environment = mediawiki()
    train, heldout = set(environment.domains("train")), set(environment.domains("heldout"))
    assert len(train) >= 20 and len(heldout) >= 12 and not train & heldout
    tasks = [environment.task(name, seed, "train") for name in train for seed in range(20)]
    tasks += [
        environment.task(name, SEEDS["heldout"].start + seed, "heldout") for name in heldout for seed in range(20)
    ]
    assert len({task.goal for task in tasks}) >= 400 and {task.difficulty for task in tasks} == {1, 2, 3}
    assert all(environment.task_from_id(task.id) == task and task.rubric for task in tasks)


def test_the_start_state_has_thousands_of_revisions_and_every_answer_is_unique() -> None:
    start, edits = wiki(), world()["edits"]
    assert len(edits) > 2_000 and len({(edit["title"], edit["text"]) for edit in edits}) == len(edits)
    assert [edit["time"] for edit in edits] == sorted({edit["time"] for edit in edits})
    for article in (*start.articles, *start.featured, *start.protected):
        assert edits[article.revision - 2]["text"] == article.text and start.texts[article.title] == article.text
        assert len(set(article.summaries)) == len(article.summaries) and len(sections(article.text)) == 4
        assert all(one != other for one, other in zip(article.users, article.users[1:], strict=False)), (
            "a rollback undoes one"
        )
    for kind in {article.kind for article in start.articles}:
        sizes = [
            article.size for article in (*start.articles, *start.featured, *start.protected) if article.kind == kind
        ]
        assert len(set(sizes)) == len(sizes)


def test_a_revision_s_digest_is_that_of_the_wiki_and_blank_lines_do_not_matter() -> None:
    assert digest("") == "phoiac9h4m842xq45sp7s6u21eteeq1", "MediaWiki's value for an empty page"
    text = "Lead.\n\n== History ==\nOld.\n\n== See also ==\n* [[X]]\n\n[[Category:A]]\n[[Category:B]]"
    changed = with_section(text, "History", "New.")
    assert text.replace("Old.", "New.") in changed and text.replace("\nOld.", "\n\nNew.") in changed
    assert all("Old." not in one and one.count("==") == 4 for one in changed)
    more = with_category(text, "C")
    assert (
        f"{text}\n[[Category:C]]" in more
        and text.replace("\n[[Category:A]]", "\n[[Category:C]]\n[[Category:A]]") in more
    )
    assert "== S ==\n\nT" in with_topic("", "S", "T") and "old\n\n== S ==\nT" in with_topic("old", "S", "T")


def test_the_router_knows_the_hosts_of_episodes_only() -> None:
    text = (recipe().site / "router.php").read_text()
    found = re.search(r"preg_match\( '/(.*?)/D'", text)
    assert found is not None
    pattern = re.compile(found[1].removesuffix("$") + r"\Z")
    one = f"e{'0' * 16}"
    assert pattern.match(f"{one}.localhost:80") and pattern.match(f"{one}.localhost")
    for host in (
        "localhost",
        "golden.localhost",
        f"{one}.localhost.example.com",
        f"x{one}.localhost",
        f"{one}.localhost\n",
        "",
    ):
        assert not pattern.match(host)


def recorded(family: str) -> tuple[str, list[list[Any]]]:
    """Task and changes of a family's recorded solution."""
    row = next(row for row in json.loads(RECORDED.read_text()) if row["task"].startswith(f"{family}."))
    return row["task"], row["changes"]


def is_rewarded(task_id: str, changes: list[list[Any]]) -> bool:
    environment = INSTALLED["mediawiki"].make()
    assert isinstance(environment, ApplicationEnvironment)
    task = environment.task_from_id(task_id)
    end = Ending(environment.parameters(task), Changes(tuple(Change(*change) for change in changes)), "done")
    return all(environment.template(task).check(end).values())


@pytest.mark.parametrize(
    ("family", "table", "column", "value"),
    [
        ("block-editor", "ipblocks", "ipb_sitewide", 0),
        ("block-editor", "ipblocks", "ipb_expiry", "infinity"),
        ("block-editor", "ipblocks", "ipb_create_account", 0),
        ("protect-article", "page_restrictions", "pr_level", "autoconfirmed"),
        ("protect-article", "page_restrictions", "pr_expiry", "2027-01-01T00:00:00+00:00"),
        ("write-article", "revision", "rev_sha1", digest("The same, almost.")),
        ("write-article", "page", "page_namespace", 2),
        ("rename-article", "page", "page_is_redirect", 0),
        ("watch-featured-article", "watchlist", "wl_title", "Main_Page"),
        ("make-editor-administrator", "user_groups", "ug_group", "bureaucrat"),
    ],
)
def test_almost_what_was_wanted_is_not_rewarded(family: str, table: str, column: str, value: Any) -> None:
    task, changes = recorded(family)
    assert is_rewarded(task, changes)
    wrong = [
        [path, before, after | {column: value}]
        if path.startswith(f"{table}/") and isinstance(after, dict)
        else [path, before, after]
        for path, before, after in changes
    ]
    assert wrong != changes and not is_rewarded(task, wrong)


@pytest.mark.parametrize("family", ["protect-article", "delete-article", "rename-article", "unblock-editor"])
def test_what_is_done_and_undone_beside_it_stays_in_the_log(family: str) -> None:
    task, changes = recorded(family)
    entry = next(after for path, _, after in changes if path.startswith("logging/"))
    assert not is_rewarded(task, [*changes, ["logging/999", None, entry | {"log_id": 999}]])
    other = entry | {"log_id": 999, "log_title": "Somebody_else"}
    assert not is_rewarded(task, [*changes, ["logging/999", None, other]])


class Visitor:
    """A browser's requests to one episode, signed in by the episode's cookies."""

    def __init__(self, http: httpx.AsyncClient, url: str, cookies: dict[str, str]) -> None:
        self.http, self.cookies = http, dict(cookies)
        self.host = url.split("/")[2]
        self.base = f"http://127.0.0.1:{self.host.rpartition(':')[2]}"

    async def ask(self, path: str, form: dict[str, str] | None = None) -> httpx.Response:
        headers = {"Host": self.host, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is None:
            answer = await self.http.get(f"{self.base}{path}", headers=headers)
        else:
            answer = await self.http.post(f"{self.base}{path}", headers=headers, data=form)
        self.cookies |= dict(answer.cookies)
        self.http.cookies.clear()
        return answer

    async def act(self, action: str, **form: str) -> dict[str, Any]:
        tokens = (await self.ask("/api.php?action=query&meta=tokens&type=csrf|watch&format=json")).json()
        kind = "watchtoken" if action == "watch" else "csrftoken"
        token = tokens["query"]["tokens"][kind]
        answer = await self.ask("/api.php", {"action": action, "format": "json", "token": token} | form)
        return answer.json()


@pytest.mark.chaos
async def test_the_installed_wiki_keeps_episodes_apart() -> None:
    await install(recipe(), installation("mediawiki"), tell=print)
    environment = mediawiki(spares=2)
    task = environment.task("count-revisions", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def play(number: int) -> None:
            async with environment.serve(task, trajectory_id=f"t{number}") as site:
                assert site.login is not None and site.reach.only_sites
                visitor = Visitor(http, site.start_url, {cookie.name: cookie.value for cookie in site.login.cookies})
                page = await visitor.ask("/wiki/Main_Page")
                assert page.status_code == 200 and '"wgUserName":"Robin"' in page.text
                for host in ("golden.localhost", "localhost", f"{visitor.host}.example.com"):
                    answer = await http.get(f"{visitor.base}/wiki/Main_Page", headers={"Host": host})
                    assert answer.status_code == 404, "another host name has no database"
                state = await site.final_state()
                assert state["changes"] == [], "a visit changes nothing"
                assert (await environment.check(ended(task, state["parameters"]["answer"]), state)).reward == 1
                assert (await environment.check(ended(task, "The task is done."), state)).reward == 0
                await visitor.act("edit", title="Alder Bridge", text=f"Written by {number}.")
                for _ in range(3):
                    assert f"Written by {number}." in (await visitor.ask("/wiki/Alder_Bridge")).text
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(play(number) for number in range(4)))


@pytest.mark.chaos
async def test_what_else_an_agent_does_to_the_installed_wiki_costs_the_reward() -> None:
    await install(recipe(), installation("mediawiki"), tell=print)
    environment = mediawiki(spares=2)
    task = environment.task("write-own-user-page", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def reward() -> float | None:
            return (await environment.check(ended(task, "done"), await site.final_state())).reward

        async with environment.serve(task, trajectory_id="t") as site:
            assert site.login is not None
            cookies = {cookie.name: cookie.value for cookie in site.login.cookies}
            visitor = Visitor(http, site.start_url, cookies)
            assert await reward() == 0
            text = (await site.final_state())["parameters"]["text"]
            await visitor.act("edit", title="User:Robin", text=text)
            assert await reward() == 1
            await visitor.act("watch", titles="Main Page")
            assert await reward() == 0
            await visitor.act("watch", titles="Main Page", unwatch="1")
            assert await reward() == 1, "what is as before counts as unchanged"
            injection = "'; DROP TABLE page; --"
            await visitor.act("edit", title="Sandbox", text=injection, summary=injection)
            verdict = await environment.check(ended(task, "done"), await site.final_state())
            assert verdict.reward == 0 and "DROP TABLE" in verdict.evidence
            assert injection in (await visitor.ask("/wiki/Sandbox")).text, "the table is still there"
            await visitor.act("delete", title="Sandbox")
            assert await reward() == 0, "what was deleted is in the log"
            await visitor.act("changeauthenticationdata", request="x", password="another password 7")
            async with environment.serve(task, trajectory_id="v") as other:
                stranger = Visitor(http, other.start_url, visitor.cookies)
                assert "DROP TABLE" not in (await stranger.ask("/wiki/Sandbox")).text
                assert (await other.final_state())["changes"] == [], "another episode's session changes nothing here"
            await visitor.act("logout")
            assert '"wgUserName":null' in (await Visitor(http, site.start_url, {}).ask("/wiki/Main_Page")).text
            assert await reward() == 0
        async with environment.serve(task, trajectory_id="u") as site:
            assert (await site.final_state())["changes"] == [], "the next episode begins afresh"


@pytest.mark.chaos
async def test_no_worker_of_the_installed_wiki_outlives_its_provider() -> None:
    await install(recipe(), installation("mediawiki"), tell=print)
    async with places(spares=1) as provider:
        assert provider.server is not None
        group = provider.server.pid
        assert len(members(group)) > 4
    await until(lambda: not members(group), "the end of the killed workers")


def members(group: int) -> list[int]:
    """Processes of a process group that run; those that have ended may wait for their parent."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, belongs_to = file.read_text().rpartition(")")[2].split()[:3]
            found += [int(file.parent.name)] if int(belongs_to) == group and state != "Z" else []
    return found
