"""Verifies the requests of an episode's pages: which were made, with which bodies, and which must not have been made.

The record is the browser service's, so neither the agent's answer nor a page can add to it. Each comparison has three
results: a record that is cut, or does not tell a body, leaves undecided what depends on it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.types import Trajectory
from browser_service.models import RequestRecord
from judging.verifiers.bodies import Fits, body_fits
from judging.verifiers.expectations import NetworkExpectation, RequestRule
from judging.verifiers.findings import Finding, printable, shown, undecided
from judging.verifiers.urls import url_criteria
from storage.recordings.requests import CorruptRequests, RequestLog, steps_of

ReadRequests = Callable[[Trajectory], RequestLog | None]
"""Reads the log of a trajectory's requests; `storage.store.TrajectoryStore.requests` fits. Raises `CorruptRequests`."""
LISTED = 3
"""Number of rules whose evidence is listed."""


def check_network(expected: NetworkExpectation, trajectory: Trajectory, read: ReadRequests | None) -> Finding:
    """Compares the recorded requests with the rules, one criterion each.

    Undecided without a record, and when all depends on what it does not tell: requests beyond its limits, a body that
    is cut, an answer that had not come. A rule that fails in any case decides all the same.
    """
    try:
        log = read(trajectory) if read is not None else None
    except CorruptRequests as error:
        return undecided(f"the record of requests is damaged: {shown(str(error))}")
    if log is None:
        return undecided("the requests were not recorded (agent.record.network)")
    results = {
        **{_name("must", n, rule): _must(rule, log) for n, rule in enumerate(expected.must, 1)},
        **{_name("must not", n, rule): _must_not(rule, log) for n, rule in enumerate(expected.must_not, 1)},
    }
    criteria = {name: one.ok for name, one in results.items() if one.ok is not None}
    failures = [f"{name}: {one.why}" for name, one in results.items() if not one.ok][:LISTED]
    if all(criteria.values()) and len(criteria) < len(results):
        return undecided("; ".join(failures))
    passed = all(criteria.values())
    steps = sorted({step for one in results.values() for step in _steps(one.requests, log, trajectory)})
    evidence = f"{len(log.requests)} requests: " + (
        "; ".join(failures) if failures else f"as expected in {len(criteria)} rules"
    )
    return Finding(passed, criteria, evidence, tuple(steps))


class _Result(NamedTuple):
    ok: bool | None
    why: str
    requests: tuple[RequestRecord, ...] = ()
    """The requests that decided."""


@dataclass(frozen=True)
class _Matches:
    """The recorded requests by their fit with one rule."""

    certain: tuple[RequestRecord, ...]
    possible: int
    """Number of requests that may fit, those beyond the record included."""
    doubt: str
    """The reason of the first doubt."""
    near_miss: str
    """Difference of a request that fits but for its body or its answer."""


def _must(rule: RequestRule, log: RequestLog) -> _Result:
    found = _matches(rule, rule.status or "ok", log)
    count = len(found.certain)
    if rule.most is not None and count > rule.most:
        return _Result(False, f"{count} such requests, at most {rule.most} expected", found.certain)
    if found.possible and (not count or rule.most is not None):
        return _Result(None, found.doubt)
    if not count:
        return _Result(False, found.near_miss or "no such request")
    return _Result(True, "", found.certain)


def _must_not(rule: RequestRule, log: RequestLog) -> _Result:
    found = _matches(rule, rule.status or "any", log)
    if found.certain:
        first = found.certain[0]
        return _Result(False, f"there was {first.method} {shown(first.url)}", found.certain)
    return _Result(None, found.doubt) if found.possible else _Result(True, "")


def _matches(rule: RequestRule, status: str, log: RequestLog) -> _Matches:
    certain: list[RequestRecord] = []
    doubts: list[str] = []
    near_miss = ""
    for request in log.requests:
        if not _has_method(rule, request) or (fits := _has_url(rule, request)) is False:
            continue
        results: list[Fits] = [(fits, "an address is cut"), _has_status(status, request)]
        if rule.body is not None:
            results.append(body_fits(rule.body, request))
        misses = [why for ok, why in results if ok is False]
        unknown = [why for ok, why in results if ok is None]
        if misses:
            near_miss = near_miss or f"{request.method} {shown(request.url)}: {misses[0]}"
        elif unknown:
            doubts.append(f"{request.method} {shown(request.url)}: {unknown[0]}")
        else:
            certain.append(request)
    dropped = _dropped(rule, log)
    doubt = doubts[0] if doubts else f"{dropped} further requests are not recorded" if dropped else ""
    return _Matches(tuple(certain), len(doubts) + dropped, doubt, near_miss)


def _has_method(rule: RequestRule, request: RequestRecord) -> bool:
    match rule.method:
        case "any":
            return True
        case "write":
            return request.is_write
    return request.method == rule.method


def _has_url(rule: RequestRule, request: RequestRecord) -> bool | None:
    if not request.url.startswith(("http://", "https://")):
        return False  # data: and blob: addresses are no requests to a site
    url = request.url.replace("\\", "%5C")  # Chromium has replaced all but those in a query
    criteria = url_criteria(rule.url, url)
    is_readable = criteria != {"url": False}
    if all(criteria.values()):
        return None if request.url_cut and rule.url.query != "ignore" else True
    if is_readable and not request.url_cut:
        return False
    # The beginning may be enough to tell that it is another address.
    bare = rule.url.model_copy(update={"query": "ignore", "fragment": "ignore"})
    beginning, _, query = url.partition("?")
    begun = url_criteria(bare, beginning.partition("#")[0])
    if request.url_cut and not query:
        begun.pop("url path", None)
    return None if all(begun.values()) else False


def _has_status(wanted: str, request: RequestRecord) -> Fits:
    if wanted == "any":
        return True, ""
    if request.status is not None:
        return 200 <= request.status < 400, f"it was answered with status {request.status}"
    if request.error and request.error != "net::ERR_ABORTED":
        return False, f"it failed with {printable(request.error)}"
    return None, "its answer did not come"  # an aborted request may have reached the site


def _dropped(rule: RequestRule, log: RequestLog) -> int:
    """Number of requests that the record left out and that the rule may mean."""
    reads = log.head.dropped_documents + log.head.dropped_reads
    match rule.method:
        case "any":
            return reads + log.head.dropped_writes
        case "GET" | "HEAD":
            return reads
    return log.head.dropped_writes


def _steps(requests: Iterable[RequestRecord], log: RequestLog, trajectory: Trajectory) -> Iterable[int]:
    """Indices of the trajectory's steps during or after which the requests were made."""
    return (step for _, step in steps_of(requests, log, trajectory) if step is not None)


def _name(which: str, number: int, rule: RequestRule) -> str:
    return f"{which} {number}: {rule.method} {printable(rule.url.url)}"
