"""The spans of a run, and the ids in its log: run, iteration, stage. `services.traces` turns the spans on."""

from collections.abc import Generator
from contextlib import contextmanager

from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.stages import StageKey
from telemetry.errors import TracingError
from telemetry.exporter import check, traces_endpoint, tracing
from telemetry.ids import bound
from telemetry.propagation import parent_of
from telemetry.spans import span, under


class NotTraced(LoopError):
    """The environment asks for traces that can't be sent. The message is one sentence."""


def check_traces(config: LoopConfig) -> str:
    """Checks that spans can be sent, if `services.traces` is on; returns where to. Raises `NotTraced`."""
    if not config.services.traces:
        return "off (services.traces)"
    try:
        return f"sent to {traces_endpoint()}" if check() else "off in the environment (OTEL_*)"
    except TracingError as error:
        raise NotTraced(f"services.traces: {error}") from error


@contextmanager
def traced_run(folder: RunFolder, name: str = "run") -> Generator[None]:
    """The part of a run that this process plays, a trace of its own. Raises `NotTraced`."""
    with traced_process(folder, "rl-loop"), span(name):
        yield


@contextmanager
def traced_elsewhere(folder: RunFolder, key: StageKey, parent: str | None, *, service: str) -> Generator[None]:
    """The part of a stage that a worker does, in the trace of `parent` (see `telemetry.propagation.traceparent`).

    `service` names the worker's process in traces. Raises `NotTraced`.
    """
    with traced_process(folder, service), part_of(key, parent):
        yield


@contextmanager
def traced_process(folder: RunFolder, service: str) -> Generator[None]:
    """A process that plays a part of a run. `service` names it in traces. Raises `NotTraced`."""
    try:
        with bound(run=folder.name), tracing(service, wanted=folder.config.services.traces):
            yield
    except TracingError as error:
        raise NotTraced(f"services.traces: {error}") from error


@contextmanager
def part_of(key: StageKey, parent: str | None) -> Generator[None]:
    """The part of a stage that such a process does, in the trace of `parent` (see `telemetry.propagation.traceparent`)."""
    with bound(iteration=key.iteration, stage=str(key.stage)), under(parent_of(parent)):
        yield


@contextmanager
def traced_iteration(iteration: int) -> Generator[None]:
    """An iteration of the run."""
    with bound(iteration=iteration), span("iteration"):
        yield


@contextmanager
def traced_stage(key: StageKey) -> Generator[None]:
    """A stage of an iteration."""
    with bound(iteration=key.iteration, stage=str(key.stage)), span(str(key.stage)):
        yield
