"""Any order of asking, claiming, admitting, ending, crashing, forgetting and time, on both lease stores at once."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from both_stores import Asked, BothStores, Given, Name
from hypothesis import event
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from real_redis import RealRedis, running_redis
from turned_stores import wanted

from browser_service.leasing.leases import CLAIM_GRACE_S, InstanceReport, QueueLimits

LIMITS = QueueLimits(total=8, per_share=5)
CAPACITIES = {"http://a:9000": 1, "http://b:9000": 2}
ADDRESSES = st.sampled_from(sorted(CAPACITIES))
REQUESTS = st.tuples(
    st.sampled_from(["", "red", "blue"]),  # share
    st.sampled_from([1, 1, 1, 1, 2, 3, 4]),  # count
    st.sampled_from([0, 3, 20, 20, 20]),  # seconds to wait
    st.sampled_from([None, None, None, "k", "l"]),  # idempotency key
)

Said = tuple[InstanceReport, list[Given], list[Name]]


@dataclass
class Instance:
    """A process with browsers. It alone knows what is live."""

    address: str
    capacity: int
    boot: int = 0
    number: int = 0
    generation: int = 0
    healthy: bool = True
    draining: bool = False
    live: dict[Name, Given] = field(default_factory=dict)
    unsaid: set[Name] = field(default_factory=set)
    """Leases that no report has named yet."""

    def admit(self, given: Given) -> bool:
        """True if it opens a browser: not for a slot that is in use, or that was given out later."""
        if given.name in self.live:
            return True
        if given.slot in {live.slot for live in self.live.values()} or given.generation <= self.generation:
            return False
        self.live[given.name] = given
        self.unsaid.add(given.name)
        self.generation = given.generation
        return True

    def says(self) -> Said:
        """Its report, apart from the leases that live and those that were too short to be named."""
        self.number += 1
        report = InstanceReport(
            instance=self.address,
            node="http://node",
            capacity=self.capacity,
            healthy=self.healthy,
            draining=self.draining,
            generation=self.generation,
            boot=str(self.boot),
            number=self.number,
        )
        ended = sorted(self.unsaid - self.live.keys())
        self.unsaid.clear()
        return report, list(self.live.values()), ended


class Leases(RuleBasedStateMachine):
    """Both stores, and two instances that report to them."""

    server: ClassVar[RealRedis]
    late_reports = Bundle("late_reports")

    def __init__(self) -> None:
        super().__init__()
        self.stores = BothStores(self.server, LIMITS)
        self.instances = {address: Instance(address, capacity) for address, capacity in CAPACITIES.items()}
        self.in_line: list[Asked] = []
        self.granted: list[Given] = []
        """Claimed, and not yet admitted or refused."""
        self.newest: dict[str, int] = {}
        """Generations by instance, since the stores last forgot everything."""
        self.seen: set[tuple[Name, int]] = set()
        """Grants whose generation was looked at, since then."""
        self.report_all()

    @rule(requests=st.lists(REQUESTS, min_size=1, max_size=4))
    def ask(self, requests: list[tuple[str, int, float, str | None]]) -> None:
        for share, count, wait_s, key in requests:
            asked = self.stores.enqueue(wanted(share, wait_s=wait_s, key=key), count)
            if isinstance(asked, Asked):
                self.in_line.append(asked)

    @precondition(lambda self: self.in_line)
    @rule(backwards=st.booleans(), at_most=st.integers(1, 8), admitted=st.booleans(), reported=st.booleans())
    def claim(self, backwards: bool, at_most: int, admitted: bool, reported: bool) -> None:
        asking = self.in_line[::-1] if backwards else self.in_line[:]
        for asked in asking[:at_most]:
            outcome = self.stores.claim(asked)
            if outcome is None:
                continue
            self.in_line.remove(asked)
            if isinstance(outcome, list):
                assert len(outcome) == asked.count, "half a batch was given"
                self.granted += [given for given in outcome if given not in self.granted]
                self.nothing_else_has_the_key_of(asked, outcome, reported=reported)
        if admitted:
            self.admit_all()
            self.report_all()

    def nothing_else_has_the_key_of(self, asked: Asked, outcome: list[Given], *, reported: bool) -> None:
        """Leases of one key that came from several tickets are down to one answer; `told`: their instances ended them."""
        superseded = self.stores.superseded()
        if (key := asked.request.idempotency_key) is None:
            assert not superseded
            return
        assert sorted(self.stores.find(key)) == sorted(outcome)
        assert not {given.name for given in superseded} & {given.name for given in outcome}
        self.granted = [given for given in self.granted if given not in superseded]
        for given in superseded:
            event("superseded")
            if reported:
                self.instances[given.instance].live.pop(given.name, None)

    @rule()
    def admit_all(self) -> None:
        """Grants that an instance refuses are returned."""
        for given in self.granted:
            if not self.instances[given.instance].admit(given):
                self.stores.end(given.name)
        self.granted.clear()

    @rule(which=st.integers(0, 100), tells=st.sampled_from(["nobody", "store", "store", "report", "report", "report"]))
    def finish(self, which: int, tells: str) -> None:
        live = sorted((instance.address, name) for instance in self.instances.values() for name in instance.live)
        if live:
            address, name = live[which % len(live)]
            del self.instances[address].live[name]
            if tells == "store":
                self.stores.end(name)
            elif tells == "report":
                self.stores.report(*self.instances[address].says())

    @precondition(lambda self: self.in_line)
    @rule(which=st.integers(0, 100))
    def leave_the_line(self, which: int) -> None:
        self.stores.cancel(self.in_line.pop(which % len(self.in_line)))

    @rule()
    def report_all(self) -> None:
        for instance in self.instances.values():
            self.stores.report(*instance.says())

    @rule(target=late_reports, address=ADDRESSES)
    def write_a_report(self, address: str) -> Said:
        return self.instances[address].says()

    @rule(late=consumes(late_reports))
    def deliver_a_late_report(self, late: Said) -> None:
        self.stores.report(*late)

    @rule(address=ADDRESSES)
    def sign_off(self, address: str) -> None:
        """The instance did not answer and is thought gone; its leases are forgotten, until it reports them again."""
        self.stores.report(
            InstanceReport(instance=address, node="http://node", capacity=0, healthy=False, ttl_s=0), [], []
        )

    @rule(key=st.sampled_from(["k", "l"]), count=st.sampled_from([1, 1, 2]), reported=st.booleans())
    def answer_a_key_twice(self, key: str, count: int, reported: bool) -> None:
        """The instance of a lease is thought gone while its key is asked for again, and comes back."""
        for is_thought_gone in (True, False, False):
            self.ask([("", count, 20, key)])
            if self.in_line:
                self.claim(backwards=True, at_most=1, admitted=True, reported=reported)
            for given in self.stores.find(key) if is_thought_gone else []:
                self.sign_off(given.instance)

    @rule(address=ADDRESSES)
    def crash(self, address: str) -> None:
        """The process starts again, and has forgotten even its generations."""
        before = self.instances[address]
        self.instances[address] = Instance(address, CAPACITIES[address], boot=before.boot + 1)

    @rule(address=ADDRESSES, is_open=st.booleans(), draining=st.booleans(), capacity=st.integers(0, 3))
    def change(self, address: str, is_open: bool, draining: bool, capacity: int) -> None:
        instance = self.instances[address]
        instance.healthy, instance.draining, instance.capacity = is_open or draining, not is_open, capacity
        self.stores.report(*instance.says())

    @rule(key=st.sampled_from(["k", "l"]))
    def abandon(self, key: str) -> None:
        found = self.stores.find(key)
        assert self.stores.abandon(key) == found
        for given in found:
            self.instances[given.instance].live.pop(given.name, None)
        self.granted = [given for given in self.granted if given not in found]

    @rule(seconds=st.sampled_from([0.1, 0.9, 2.3, 4.1, 5.7, 11.3]))
    def time_passes(self, seconds: float) -> None:
        self.stores.advance(seconds)

    @rule()
    def reap(self) -> None:
        self.stores.reap()

    @rule(chance=st.integers(0, 5))
    def forget_everything(self, chance: int) -> None:
        if chance == 0:
            self.newest.clear()
            self.seen.clear()
            self.stores.forget()

    @invariant()
    def the_books_are_sound(self) -> None:
        books = self.stores.books()
        leases = [given for given, _ in books.leases]
        slots = [(given.instance, given.slot) for given in leases]
        assert len(set(slots)) == len(slots), "a slot is held twice"
        for instance in books.instances:
            assert instance.leased == sum(given.instance == instance.instance for given in leases)
        self.generations_only_grow([given for given, state in books.leases if state == "granted"])
        idle = sum(instance.available for instance in books.instances)
        if idle and books.waiting:
            assert any(asked.count > 1 for asked in self.in_line), "slots are free while people wait for one each"

    def generations_only_grow(self, granted: list[Given]) -> None:
        """Of each instance, for as long as the stores remember."""
        before = dict(self.newest)
        for given in granted:
            if (given.name, given.generation) not in self.seen:
                assert given.generation > before.get(given.instance, 0), "a generation went back"
                self.seen.add((given.name, given.generation))
            self.newest[given.instance] = max(self.newest.get(given.instance, 0), given.generation)

    def teardown(self) -> None:
        """However it went: soon the stores say what the instances say, and once those are empty every slot can be had."""
        try:
            for asked in self.stores.asked:
                self.stores.cancel(asked)
            self.stores.advance(CLAIM_GRACE_S + 1)
            for instance in self.instances.values():
                instance.healthy, instance.draining, instance.boot = True, False, instance.boot + 1_000
            self.report_all()
            known = {given.name for given, _ in self.stores.books().leases}
            assert known == {name for instance in self.instances.values() for name in instance.live}
            for instance in self.instances.values():
                instance.live.clear()
            self.report_all()
            self.every_slot_can_be_had()
        finally:
            self.stores.close()

    def every_slot_can_be_had(self) -> None:
        assert self.stores.books().leases == []
        if slots := sum(instance.capacity for instance in self.instances.values()):
            asked = self.stores.enqueue(wanted(), slots)
            assert isinstance(asked, Asked)
            given = self.stores.claim(asked)
            assert isinstance(given, list) and len(given) == slots


@pytest.fixture(scope="module", autouse=True)
def server() -> Generator[None, None, None]:
    with running_redis() as running:
        Leases.server = running
        yield


TestLeases = Leases.TestCase
TestLeases.settings = hypothesis_settings(max_examples=25, stateful_step_count=30, deadline=None)
