"""Carries reports from one tier to the next: reports that arrive together are sent together, over a kept connection."""

from collections.abc import Sequence

import httpx
from pydantic import TypeAdapter

from browser_service.errors import Unreachable, error_of
from browser_service.leasing.leases import InstanceReport

REPORTS = TypeAdapter(list[InstanceReport])
SEND_S = 2.0
"""Deadline of one report; the next report repeats its content."""


class Upstream:
    """The tier in front. If several addresses share one store, the first that answers gets the reports."""

    def __init__(self, urls: Sequence[str], http: httpx.AsyncClient) -> None:
        self._urls = list(urls)
        self._http = http

    async def send(self, reports: list[InstanceReport]) -> None:
        """Sends the reports. Raises `Unreachable` if no address takes them."""
        body = REPORTS.dump_json(reports)
        reasons = []
        for url in list(self._urls):
            try:
                answer = await self._http.post(f"{url}/tier/report", content=body, timeout=SEND_S)
            except httpx.HTTPError as error:
                reasons.append(f"{url}: {str(error) or type(error).__name__}")
                self._urls.append(self._urls.pop(0))  # ask another one first from now on
                continue
            if answer.is_success:
                return
            reasons.append(f"{url}: {error_of(answer.status_code, answer.content).detail}")
        raise Unreachable(f"no report reaches {'; '.join(reasons)}")


class Pending:
    """Reports that a node has to forward: the newest of each instance."""

    def __init__(self) -> None:
        self._newest: dict[str, InstanceReport] = {}

    def add(self, reports: Sequence[InstanceReport]) -> None:
        """Adds reports that have just arrived."""
        for report in reports:
            if (older := self._newest.get(report.instance)) and older.ended:
                report = report.model_copy(update={"ended": [*older.ended, *report.ended]})
            self._newest[report.instance] = report

    def take(self) -> list[InstanceReport]:
        """Removes and returns the collected reports. A lost one is followed by the next within a second."""
        taken, self._newest = list(self._newest.values()), {}
        return taken
