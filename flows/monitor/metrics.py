"""The monitor's numbers as Prometheus metrics at http://127.0.0.1:PORT/metrics while the monitor runs.

All are gauges about the watched stage, with labels `run` and `stage`; names and labels are an interface:

    rl_loop_iteration                                  its number; 0 is the evaluation of the first policy
    rl_loop_episodes{state}                            episodes by state: waiting, model, success, broken by infra, ..
    rl_loop_steps                                      steps of all its episodes
    rl_loop_episodes_judged, rl_loop_episodes_successful
    rl_loop_broken_attempts{side, code}                including attempts that were retried
    rl_loop_slots, rl_loop_slots_busy, rl_loop_episodes_queued
    rl_loop_hosts_paused, rl_loop_host_pauses          hosts that block or are down: now, and pauses so far
    rl_loop_episodes_per_minute, rl_loop_steps_per_second, rl_loop_eta_seconds        left out when not known
    rl_loop_silent_seconds                             since the stage's last write; left out when it is finished
    rl_loop_browsers, rl_loop_browsers_leased, rl_loop_browser_requests_waiting       left out if the service is down
    rl_loop_model_requests_running, rl_loop_model_requests_waiting                    left out if vLLM is down
"""

from collections.abc import Iterator
from types import TracebackType

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from flows.monitor.model import Snapshot, State
from flows.services.load import Services
from storage.errors import LoopError

HOST = "127.0.0.1"


class PortInUse(LoopError):
    """The metrics cannot be served. The message is one sentence."""


class MetricsServer(Collector):
    """HTTP server for the newest snapshot. Use as a context."""

    def __init__(self, port: int) -> None:
        """Port 0 takes a free one. Raises `PortInUse`."""
        self._newest: tuple[Snapshot, Services] | None = None
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, addr=HOST, registry=registry)
        except OSError as error:
            raise PortInUse(
                f"port {port} cannot be used ({error.strerror}); choose another for --prometheus"
            ) from error
        self.url = f"http://{HOST}:{self._server.server_port}/metrics"

    def __enter__(self) -> "MetricsServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, snapshot: Snapshot, services: Services) -> None:
        """Replaces the snapshot that is served."""
        self._newest = (snapshot, services)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Returns no metrics: prometheus_client would otherwise collect once to learn the names."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields the metrics; called for each request, in a thread of its own."""
        if self._newest is not None:
            yield from metrics(*self._newest)


def metrics(snapshot: Snapshot, services: Services) -> Iterator[GaugeMetricFamily]:
    """A snapshot as gauges."""
    labels = {"run": snapshot.run, "stage": str(snapshot.key.stage)}
    for name, help_text, value in _numbers(snapshot, services):
        if value is not None:
            yield _family(name, help_text, labels, [({}, value)])
    states = [({"state": str(state)}, float(snapshot.counts[state])) for state in State]
    yield _family("episodes", "Episodes by state", labels, states)
    attempts = [({"side": side, "code": code}, float(count)) for (side, code), count in snapshot.attempts.items()]
    yield _family("broken_attempts", "Broken attempts at episodes by side and code", labels, attempts)


def _numbers(snapshot: Snapshot, services: Services) -> Iterator[tuple[str, str, float | None]]:
    pace, browsers, model = snapshot.pace, services.browsers, services.model
    yield "iteration", "Iteration of the stage; 0 is the evaluation of the first policy", snapshot.key.iteration
    yield "steps", "Steps of all episodes of the stage", snapshot.steps
    yield "episodes_judged", "Episodes that are judged", snapshot.judged
    yield "episodes_successful", "Judged episodes with full reward", snapshot.successes
    yield "slots", "Episodes that may be played at the same time", snapshot.slots
    yield "slots_busy", "Episodes that are being played", snapshot.playing
    yield "episodes_queued", "Episodes that wait for a slot", snapshot.queued
    yield (
        "hosts_paused",
        "Hosts on which no episode begins for now, because they block or are down",
        len(snapshot.paused),
    )
    yield "host_pauses", "Pauses of hosts in this stage", snapshot.pauses
    yield "episodes_per_minute", "Episodes that ended per minute, of late", pace.episodes_per_min
    yield "steps_per_second", "Steps per second, of late", pace.steps_per_s
    yield "eta_seconds", "Seconds until the stage's last episode is over, at this pace", pace.eta_s
    yield "silent_seconds", "Seconds since the stage wrote anything", snapshot.silent_s
    yield "browsers", "Slots of the browser service", browsers and browsers.capacity
    yield "browsers_leased", "Slots of the browser service that are leased", browsers and browsers.leased
    yield "browser_requests_waiting", "Requests that wait for a browser", browsers and browsers.queue
    yield "model_requests_running", "Requests that vLLM computes", model and model.running
    yield "model_requests_waiting", "Requests in vLLM's queue", model and model.waiting


def _family(
    name: str, help_text: str, labels: dict[str, str], samples: list[tuple[dict[str, str], float]]
) -> GaugeMetricFamily:
    names = [*labels, *(samples[0][0] if samples else {})]
    family = GaugeMetricFamily(f"rl_loop_{name}", help_text, labels=names)
    for more, value in samples:
        family.add_metric([*labels.values(), *more.values()], value)
    return family
