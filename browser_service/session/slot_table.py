"""The slot table of this process: current and past holders. It touches no browser."""

import uuid
from collections.abc import Iterator

from browser_service.errors import BrowserCrashed, BrowserServiceError, LeaseNotFound, SlotTaken
from browser_service.leasing.ended import EndedLeases, Holder
from browser_service.leasing.leases import Clock, Grant, InstanceReport
from browser_service.leasing.tokens import LeaseLocation, TierKey
from browser_service.session.session import Session
from browser_service.settings import Settings


class SlotTable:
    """The live sessions, by lease and by slot."""

    def __init__(self, settings: Settings, key: TierKey, clock: Clock) -> None:
        self._settings, self._key, self._clock = settings, key, clock
        self._live: dict[str, Session] = {}
        self._by_slot: dict[int, Session] = {}
        self._fences: dict[int, int] = {}
        """The newest generation that each slot has seen."""
        self._ended = EndedLeases()
        self._boot = uuid.uuid4().hex
        self._reports = 0
        self._unreported_ends: list[str] = []

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        """A copy of the live sessions: some may end during the iteration."""
        return iter(list(self._live.values()))

    def enter(self, grant: Grant) -> Session:
        """Takes the slot. The generation of the newest lease fences off a grant that arrives late.

        Raises `SlotTaken` when the slot is in use or was given out later than this.
        """
        instance = self._settings.url
        if grant.slot >= self._settings.slots or grant.slot in self._by_slot:
            raise SlotTaken(f"slot {grant.slot} of {instance} is not free; ask for a lease again")
        if grant.generation <= self._fences.get(grant.slot, 0):
            raise SlotTaken(f"slot {grant.slot} was given out again after this grant; ask for a lease again")
        token = self._key.sign(grant.lease_id, LeaseLocation(instance, grant.slot, grant.generation))
        session = Session(grant, Holder(grant.lease_id, token, grant.needs_token), self._clock())
        self._fences[grant.slot] = grant.generation
        self._live[grant.lease_id] = self._by_slot[grant.slot] = session
        return session

    def leave(self, session: Session, error: BrowserServiceError) -> None:
        """Frees the slot; `error` is the answer to late calls."""
        del self._live[session.lease_id]
        del self._by_slot[session.grant.slot]
        self._ended.add(session.holder, error)
        if not session.is_reported:
            self._unreported_ends.append(session.lease_id)

    def get(self, lease_id: str) -> Session | None:
        """The live session of a lease, for any caller."""
        return self._live.get(lease_id)

    def has_ended(self, lease_id: str, token: str | None) -> bool:
        """True if this caller's lease was here and is over. Raises `LeaseMismatch` for another caller's."""
        return self._ended.find(lease_id, token) is not None

    def of(self, lease_id: str, token: str | None) -> Session:
        """The live session that this caller holds. Raises `LeaseNotFound`, `LeaseMismatch`, or the error of its end."""
        if session := self._live.get(lease_id):
            session.holder.check(token)
            return session
        if ended := self._ended.find(lease_id, token):
            raise ended
        if self._key.read(lease_id, token):
            lost = BrowserCrashed("the instance that held the lease was started again; ask for a new lease")
            lost.session_state = "lost"
            raise lost
        raise LeaseNotFound(f"instance not found: there is no lease {lease_id[:80]}")

    def report(self, *, healthy: bool, draining: bool) -> InstanceReport:
        """The report for the lease store."""
        now = self._clock()
        self._reports += 1
        ended, self._unreported_ends = self._unreported_ends, []
        for session in self:
            session.is_reported = True
        return InstanceReport(
            instance=self._settings.url,
            node=self._settings.node_name,
            capacity=self._settings.slots,
            healthy=healthy,
            draining=draining,
            live=[session.as_live(now) for session in self],
            ended=ended,
            generation=max(self._fences.values(), default=0),
            boot=self._boot,
            number=self._reports,
            ttl_s=self._settings.instance_ttl_s,
        )
