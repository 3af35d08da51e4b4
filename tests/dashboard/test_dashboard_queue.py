"""The queue and the states in the database: nobody plays a rollout twice, nothing is lost with a worker."""

import itertools
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from acting import make_service, play
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, String, Table, select

from dashboard.api.service import Service
from dashboard.api.spawning import new_row
from dashboard.database.opening import DatabaseProblem, newest_version, open_database, sqlite_url
from dashboard.database.queue import (
    LEASE_S,
    MOST_TRIES,
    LeaseWatch,
    cancel,
    claim,
    give_back,
    pause,
    renew,
    rollouts_of,
)
from dashboard.database.states import ACTIVE, NEXT, STATUSES, Status, move
from dashboard.database.tables import EventRow, RolloutRow
from environments.miniwob.tasks import task_from_id

TASK = task_from_id("click-button.1000001")


def add(service: Service, number: int = 1, **values: object) -> list[str]:
    """Adds waiting rollouts."""
    with service.database.write() as session:
        rows = [new_row(TASK, "miniwob", "scripted", job="job", member=index) for index in range(number)]
        for row in rows:
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)
        return [row.id for row in rows]


def status_of(service: Service, rollout_id: str) -> str:
    with service.database.read() as session:
        return session.scalars(select(RolloutRow.status).where(RolloutRow.id == rollout_id)).one()


def test_the_states_only_change_along_the_arrows(service: Service) -> None:
    ids = {start: add(service, len(STATUSES), status=start) for start in STATUSES}
    with service.database.write() as session:
        for start, (number, to) in itertools.product(STATUSES, enumerate(STATUSES)):
            one = ids[start][number]
            assert move(session, one, to, "why") == (to in NEXT[start]), (start, to)
            now = session.scalars(select(RolloutRow.status).where(RolloutRow.id == one)).one()
            assert now == (to if to in NEXT[start] else start)


def test_a_pause_reaches_the_worker_and_ends_with_the_rollout(service: Service) -> None:
    [one] = add(service)
    with service.database.write() as session:
        assert not pause(session, one, "ann", hold=True), "it waits in the queue"
        claim(session, "worker", 1)
        assert pause(session, one, "ann", hold=True) and renew(session, "worker", [one]).paused == {one}
        assert pause(session, one, "bob", hold=False) and renew(session, "worker", [one]).paused == set()
        pause(session, one, "ann", hold=True)
        assert cancel(session, one, "bob") == "provisioning" and renew(session, "worker", [one]).cancelled == {
            one: "bob"
        }
        assert move(session, one, "cancelled", "cancelled by bob", held_by="worker")
        session.expire_all()
        assert session.scalars(select(RolloutRow.paused_by)).one() == ""


def test_rollouts_are_claimed_once_by_priority_then_by_age(service: Service) -> None:
    low, high = add(service, 3), add(service, 2, priority=5)

    def worker(name: str) -> list[str]:
        with service.database.write() as session:
            return [one.id for one in claim(session, name, 1)]

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(worker, map(str, range(8))))
    assert sorted(itertools.chain(*claimed)) == sorted(low + high)
    with service.database.read() as session:
        order = session.scalars(
            select(EventRow.rollout_id).where(EventRow.status == "provisioning").order_by(EventRow.number)
        )
        assert list(order) == high + low


def test_a_lost_workers_rollouts_are_played_again_and_given_up_at_last(service: Service) -> None:
    [one] = add(service)
    now = 0.0
    watch = LeaseWatch(lambda: now)
    for number in range(1, MOST_TRIES + 1):
        with service.database.write() as session:
            assert len(claim(session, "worker", 1)) == 1
            assert not watch.lost(session), "it is seen for the first time"
            now += LEASE_S - 1
            assert not watch.lost(session)
            now += 2
            lost = watch.lost(session)
            assert [row.id for row in lost] == [one]
            give_back(session, lost, reason="its worker was lost")
        assert status_of(service, one) == ("pending" if number < MOST_TRIES else "failed")


@pytest.mark.parametrize("shift", [3_600, -3_600])
def test_a_clock_that_is_set_loses_no_lease_that_is_renewed_and_keeps_none_that_is_not(
    service: Service, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    [one] = add(service)
    now, began = 0.0, time.time()
    watch = LeaseWatch(lambda: now)
    monkeypatch.setattr(time, "time", lambda: began + now + (shift if now > LEASE_S else 0))
    with service.database.write() as session:
        claim(session, "worker", 1)
        while now < 3 * LEASE_S:
            now += LEASE_S / 3
            assert not renew(session, "worker", [one]).lost
            session.expire_all()
            assert not watch.lost(session)
        now += LEASE_S + 1
        assert [row.id for row in watch.lost(session)] == [one]


def test_a_worker_that_was_thought_lost_can_not_write_any_more(service: Service) -> None:
    [one] = add(service)
    with service.database.write() as session:
        claim(session, "frozen", 1)
        give_back(session, rollouts_of(session, "frozen"), reason="its worker was lost")
        claim(session, "other", 1)
        assert renew(session, "frozen", [one]).lost == {one}
        assert not move(session, one, "judging", "late", held_by="frozen")
        assert move(session, one, "judging", "in time", held_by="other")


def test_a_rollout_whose_worker_dies_while_it_is_cancelled_is_cancelled(service: Service) -> None:
    [one] = add(service)
    with service.database.write() as session:
        claim(session, "worker", 1)
        assert cancel(session, one, "ann") == "provisioning"
        assert renew(session, "worker", [one]).cancelled == {one: "ann"}
        give_back(session, rollouts_of(session, "worker"), reason="its worker was lost")
    assert status_of(service, one) == "cancelled"


def test_a_worker_that_is_stopped_in_order_costs_no_try(service: Service) -> None:
    [one] = add(service)
    for _ in range(2 * MOST_TRIES):
        with service.database.write() as session:
            claim(session, "worker", 1)
            give_back(session, rollouts_of(session, "worker"), reason="its worker was stopped", counts=False)
    assert status_of(service, one) == "pending"


OPERATIONS = st.lists(
    st.sampled_from(["claim a", "claim b", "cancel", "lose a", "lose b", "run a", "judge a", "end a", "fail b"]),
    max_size=14,
)
MOVES: dict[str, Status] = {"run a": "running", "judge a": "judging", "end a": "completed", "fail b": "failed"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_whatever_happens_an_active_rollout_has_an_owner_or_is_to_be_judged(
    service: Service, operations: list[str]
) -> None:
    [one] = add(service)
    ended: str | None = None
    with service.database.write() as session:
        for operation in operations:
            verb, _, name = operation.partition(" ")
            if verb == "claim":
                claim(session, name, 1)
            elif verb == "cancel":
                cancel(session, one, "ann")
            elif verb == "lose":
                give_back(session, rollouts_of(session, name), reason="lost")
            else:
                move(session, one, MOVES[operation], "said", held_by=name)
            session.expire_all()
            row = session.scalars(select(RolloutRow).where(RolloutRow.id == one)).one()
            assert row.status in STATUSES and 0 <= row.tries <= MOST_TRIES
            assert row.status not in ACTIVE or row.owner or row.status == "judging"
            assert ended in (None, row.status), "an end is final until a person asks again"
            ended = row.status if row.completed_at else None
        session.rollback()


def test_an_older_database_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "runs/.dashboard/dashboard.db"
    path.parent.mkdir(parents=True)
    old = open_database(sqlite_url(path), version="0001")
    row = new_row(TASK.model_copy(update={"goal": "Click on Okay"}), "miniwob", "scripted", job="job", member=0)
    with old.write() as session:
        table = Table("rollouts", MetaData(), autoload_with=session.connection())  # as it was in this version
        texts = {name: "" for name, column in table.columns.items() if isinstance(column.type, String)}
        numbers = {
            name: 0
            for name in ("iteration", "member", "changed", "steps", "seconds", "priority", "tries", "lease_until")
        }
        given = {name: value for name, value in vars(row).items() if name in table.columns and value is not None}
        session.execute(table.insert().values(texts | numbers | {"answer": None, "picture": None} | given))
    old.close()
    service = make_service(tmp_path / "runs")
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_version(),)
        assert raw.execute("SELECT count(*) FROM rollout_words WHERE rollout_words MATCH 'okay'").fetchone() == (1,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()
    assert len(play(service)) == 1
    service.database.close()


def test_a_database_that_can_not_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but long enough to be looked at " * 20)
    newer = tmp_path / "newer.db"
    open_database(sqlite_url(newer)).close()
    with sqlite3.connect(newer) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    for url in (
        sqlite_url(tmp_path / "text.db"),
        sqlite_url(newer),
        "nonsense",
        "nothing://x",
        sqlite_url(tmp_path / "no/x.db"),
    ):
        with pytest.raises(DatabaseProblem) as caught:
            open_database(url)
        assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


def test_writers_wait_for_one_another(service: Service) -> None:
    def writer(_: int) -> None:
        add(service, 5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(writer, range(24)))
    with service.database.write() as session:
        assert len(claim(session, "worker", 1_000)) == 120
