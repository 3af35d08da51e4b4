"""The mail application: its tasks, its mailboxes and servers without an installation; the installed one as a chaos test."""

import asyncio
import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import httpx
import pytest
from ended_trajectory import ended

from agent.types import Site
from environments.applications.hosted.install import install
from environments.applications.hosted.recipe import installation
from environments.applications.roundcube.mailboxes import Mailboxes
from environments.applications.roundcube.preferences import preferences
from environments.applications.roundcube.recipe import recipe
from environments.applications.roundcube.roundcube import roundcube
from environments.applications.roundcube.world import account
from environments.base import SEEDS
from environments.tasks.application import ApplicationEnvironment
from environments.tasks.changes import Change, Changes, changes_between
from environments.tasks.templates import Ending

EPISODE, OTHER = f"e{'0' * 16}", f"e{'1' * 16}"
MAIL = """From: Ada <ada@quarry.test>\r
To: Robin <robin@harbour.test>\r
Subject: The boat\r
Message-ID: <{id}>\r
Content-Type: text/plain; charset=UTF-8; format=flowed\r
\r
One line that is \r
long.\r
 >not a quote\r
"""


def test_templates_make_many_tasks_of_three_difficulties_apart_by_split() -> None:
    environment = roundcube()
    train, heldout = set(environment.domains("train")), set(environment.domains("heldout"))
    assert len(train) >= 20 and len(heldout) >= 10 and not train & heldout
    tasks = [environment.task(name, seed, "train") for name in train for seed in range(20)]
    tasks += [
        environment.task(name, SEEDS["heldout"].start + seed, "heldout") for name in heldout for seed in range(20)
    ]
    assert len({task.goal for task in tasks}) >= 300 and {task.difficulty for task in tasks} == {1, 2, 3}
    assert all(environment.task_from_id(task.id) == task and task.rubric for task in tasks)


def test_the_start_state_has_thousands_of_rows_and_every_answer_is_unique() -> None:
    mails, contacts = account().mails, account().contacts
    assert len(mails) > 1_900 and len({mail.subject for mail in mails}) == len({mail.id for mail in mails}) == len(
        mails
    )
    assert len({one.name for one in contacts}) == len({one.email for one in contacts}) == len(contacts) == 78
    assert all(account().lone(name) for name in ("Family", "Travel", "Projects", "Newsletters", "Invoices"))


def box(folder: Path, files: dict[str, str]) -> None:
    """A maildir folder with mails by the name of their file."""
    for part in ("cur", "new"):
        (folder / part).mkdir(parents=True)
    for name, id in files.items():
        (folder / "cur" / name).write_bytes(MAIL.replace("{id}", id).encode())


def test_mails_flags_folders_and_what_was_sent_are_rows(tmp_path: Path) -> None:
    boxes, reader = tmp_path / "Maildir", Mailboxes()
    box(
        boxes, {"1.a.host:2,FS": "one@quarry.test", "2.a.host:2,a": "two@quarry.test", "3.a.host:2,": "two@quarry.test"}
    )
    (boxes / "dovecot-keywords").write_text("0 $Forwarded\n")
    box(boxes / ".Old", {})
    (boxes / "subscriptions").write_text("INBOX\n")
    before = reader.read(tmp_path)
    assert set(before) == {"folders", "outbox", "mail.INBOX"} and not before["outbox"]
    assert before["folders"]["Old"] == {"id": "Old", "is_subscribed": False}
    one = before["mail.INBOX"]["one@quarry.test"]
    assert (one["is_flagged"], one["is_read"], one["is_answered"]) == (True, True, False)
    assert one["text"] == "One line that is long.\n>not a quote" and one["from"] == "Ada <ada@quarry.test>"
    assert before["mail.INBOX"]["two@quarry.test"]["keywords"] == ["$Forwarded"]
    assert "two@quarry.test+" in before["mail.INBOX"], "a copy is a row of its own"
    (boxes / "cur" / "1.a.host:2,FS").rename(boxes / ".Old" / "cur" / "9.b.host:2,F")
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "0001.eml").write_bytes(b"Delivered-To: a@b.test\r\n" + MAIL.replace("{id}", "s").encode())
    changes = changes_between(before, reader.read(tmp_path))
    assert [change.path for change in changes] == ["mail.INBOX/one@quarry.test", "mail.Old", "outbox/0001"]
    assert changes[2].after["delivered_to"] == "a@b.test"


def test_preferences_are_read_from_phps_format() -> None:
    text = 'a:4:{s:2:"é";b:1;s:1:"n";i:-25;s:1:"x";N;s:1:"a";a:1:{i:0;d:0.5;}}'
    assert preferences(text) == {"é": True, "n": -25, "x": None, "a": {0: 0.5}}
    assert preferences(None) == {}
    for broken in ("i:5;", text[:20], text[:-1], text[:60] + "..", "a:9:{", "s:3:", "a:2:{x"):
        with pytest.raises(ValueError):
            preferences(broken)


def test_too_many_changed_preferences_are_no_reward_and_no_error() -> None:
    environment = roundcube()
    assert isinstance(environment, ApplicationEnvironment)
    task = environment.task("set-mails-per-page", 1, "train")
    value = environment.parameters(task)["value"]
    before = 'a:1:{s:11:"client_hash";s:1:"x";}'
    for after, is_rewarded in (
        (f'a:2:{{s:13:"mail_pagesize";i:{value};s:11:"client_hash";s:1:"x";}}', True),
        (f'a:3:{{s:13:"mail_pagesize";i:{value};s:4:"more";b:1;s:11:"client_hash";s:1:"x";}}', False),
        (f'a:40:{{s:13:"mail_pagesize";i:{value};s:4:"more";b:1;.. (900 characters, 1234abcd)', False),
    ):
        changes = Changes((Change("users/1/preferences", before, after),))
        found = environment.template(task).check(Ending(environment.parameters(task), changes, "done"))
        assert all(found.values()) is is_rewarded


def program(name: str) -> ModuleType:
    """A program that runs inside the installation."""
    spec = importlib.util.spec_from_file_location(f"roundcube_{name}", recipe().site / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_only_the_password_leads_to_the_mailboxes_of_an_episode(tmp_path: Path) -> None:
    (tmp_path / EPISODE).mkdir()
    shown = Path(shutil.which("env") or "/usr/bin/env")  # in the place of Dovecot: it prints what it was given
    front = program("imap_front").ImapFront(shown, {"KNOWN": "yes"}, tmp_path, "secret")
    serving = asyncio.create_task(front.serve())
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        assert (await reader.readline()).startswith(b"* OK [CAPABILITY IMAP4rev1")
        for name, password in ((EPISODE, "wrong"), (OTHER, "secret"), ("../x", "secret"), ("nobody", "secret")):
            writer.write(f'A1 LOGIN {name} "{password}"\r\n'.encode())
            assert (await reader.readline()).startswith(b"A1 NO"), name
        writer.write(f"A2 LOGIN {EPISODE} secret\r\n".encode())
        said = (await asyncio.wait_for(reader.read(), 20)).decode().splitlines()
        assert sorted(line for line in said if not line.startswith(("LC_", "PYTHON"))) == [
            f"HOME={tmp_path / EPISODE}",
            "IMAPLOGINTAG=A2",
            "KNOWN=yes",
            f"USER={EPISODE}",
        ]
        writer.close()
        await writer.wait_closed()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_the_sink_keeps_a_mail_with_its_episode_and_refuses_others(tmp_path: Path) -> None:
    (tmp_path / EPISODE).mkdir()
    sink = program("sink").Sink(tmp_path)
    mail = SimpleNamespace(mail_from="a@b.test", rcpt_tos=["c@d.test", "e@f.test"], content=b"Subject: S\r\n\r\nT\r\n")
    for host in (f"{OTHER}.localhost", "localhost", None):
        assert (await sink.handle_DATA(None, SimpleNamespace(host_name=host), mail)).startswith("550")
    greeted = SimpleNamespace(host_name=f"{EPISODE}.localhost")
    assert [await sink.handle_DATA(None, greeted, mail) for _ in range(2)] == ["250 OK", "250 OK"]
    assert sorted(path.name for path in (tmp_path / EPISODE / "outbox").iterdir()) == ["0001.eml", "0002.eml"]
    assert b"Delivered-To: c@d.test, e@f.test" in (tmp_path / EPISODE / "outbox" / "0001.eml").read_bytes()


class Visitor:
    """A browser without pages: requests of an episode with its cookies."""

    def __init__(self, http: httpx.AsyncClient, site: Site) -> None:
        assert site.login is not None
        self.host = site.start_url.split("/")[2]
        self._url, self._http = f"http://127.0.0.1:{self.host.rpartition(':')[2]}", http
        self._cookies = "; ".join(f"{one.name}={one.value}" for one in site.login.cookies)

    async def get(self, query: str, **headers: str) -> httpx.Response:
        """A page."""
        own = {"Host": self.host, "Cookie": self._cookies} | headers
        return await self._http.get(f"{self._url}/{query}", headers=own)

    async def post(self, query: str, **fields: str) -> httpx.Response:
        """A form, with the token that pages have in them."""
        found = re.search(r'"request_token":"(\w+)"', (await self.get("?_task=mail")).text)
        assert found is not None
        headers = {"Host": self.host, "Cookie": self._cookies, "X-Roundcube-Request": found[1]}
        return await self._http.post(f"{self._url}/{query}", data={"_token": found[1], **fields}, headers=headers)


@pytest.mark.chaos
async def test_the_installed_application_keeps_episodes_apart() -> None:
    await install(recipe(), installation("roundcube"), tell=print)
    environment = roundcube(spares=2)
    task = environment.task("count-unread-mails", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def play(number: int) -> None:
            async with environment.serve(task, trajectory_id=f"t{number}") as site:
                visitor = Visitor(http, site)
                assert site.reach.sites == (visitor.host,) and site.reach.only_sites
                page = await visitor.get("?_task=mail")
                assert page.status_code == 200 and "robin.vale@harbour.test" in page.text
                assert (await visitor.get("?_task=mail&_mbox=INBOX&_uid=420&_action=show")).status_code == 200
                await visitor.get("?_task=mail&_action=search&_remote=1&_q=boat&_headers=subject&_mbox=INBOX")
                state = await site.final_state()
                assert state["changes"] == [], "who only looks changes nothing"
                assert (await environment.check(ended(task, state["parameters"]["answer"]), state)).reward == 1
                assert (await environment.check(ended(task, "The task is done."), state)).reward == 0
                await visitor.post(
                    "?_task=mail&_action=move&_remote=1", _uid="420", _mbox="INBOX", _target_mbox="Trash"
                )
                assert len((await site.final_state())["changes"]) == 2, "its own mail, and no other episode's"

        await asyncio.gather(*(play(number) for number in range(4)))


@pytest.mark.chaos
async def test_what_else_an_agent_does_to_the_installed_application_costs_the_reward() -> None:
    await install(recipe(), installation("roundcube"), tell=print)
    environment = roundcube(spares=2)
    task = environment.task("flag-recent-mail", 3, "train")
    async with environment, httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def reward() -> float | None:
            return (await environment.check(ended(task, "done"), await site.final_state())).reward

        async with environment.serve(task, trajectory_id="t") as site:
            visitor = Visitor(http, site)
            uid = str((await site.final_state())["parameters"]["uid"])
            mark = "?_task=mail&_action=mark&_remote=1"
            assert await reward() == 0
            await visitor.post(mark, _uid=uid, _flag="flagged", _mbox="INBOX")
            assert await reward() == 1
            for path in ("config.inc.php", "program/lib/Roundcube/rcube.php", "SQL/postgres.initial.sql", "../x.css"):
                assert (await visitor.get(path)).status_code == 404, path
            text = "'; DROP TABLE contacts; --"
            await visitor.post("?_task=addressbook&_action=save&_source=0", _firstname=text, _surname=text)
            verdict = await environment.check(ended(task, "done"), await site.final_state())
            assert verdict.reward == 0 and "DROP TABLE" in verdict.evidence
            await visitor.post(mark, _uid=uid, _flag="unflagged", _mbox="INBOX")
            await visitor.post("?_task=mail&_action=purge&_remote=1", _mbox="Trash")
            await visitor.post("?_task=settings&_action=delete-folder&_remote=1", _mbox="Family")
            assert await reward() == 0
            await visitor.post("?_task=logout")
            page = await visitor.get("?_task=mail")
            assert "rcmloginuser" in page.text, "who has signed out is signed out"
            fields = {"_user": "robin.vale@harbour.test", "_pass": "password1", "_action": "login"}
            await visitor.get("?_task=login&" + "&".join(f"{name}={value}" for name, value in fields.items()))
            other = await visitor.get("?_task=mail", Host=f"{OTHER}.localhost:{visitor.host.rpartition(':')[2]}")
            assert "robin.vale" not in other.text, "there is no such episode"
            assert await reward() == 0
        async with environment.serve(task, trajectory_id="u") as site:
            assert (await site.final_state())["changes"] == [], "the next episode begins afresh"
            assert (await Visitor(http, site).get("?_task=mail")).status_code == 200
