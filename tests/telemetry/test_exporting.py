"""Sending spans: a back end that is slow or down costs spans and no time; the environment decides, and mistakes are sentences."""

import os
import socket
import subprocess
import sys
import time

import pytest
from otlp_receiver import receiving

from telemetry import exporter
from telemetry.errors import TracingError
from telemetry.exporter import check, traces_endpoint, tracing
from telemetry.sampling import share_of
from telemetry.spans import span

FLUSH_S = 0.5
SPANS = 3_000
"""More than the queue holds (OTEL_BSP_MAX_QUEUE_SIZE)."""
SLACK_S = 3.0
"""Seconds that a busy machine may add to a measured time."""


@pytest.fixture(autouse=True)
def short_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a process waits for its last spans for half a second."""
    monkeypatch.setattr(exporter, "FLUSH_S", FLUSH_S)


def work() -> float:
    """Seconds that many spans take."""
    began = time.monotonic()
    for number in range(SPANS):
        with span("step", step=number):
            pass
    return time.monotonic() - began


def test_a_back_end_that_is_down_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:  # bound and not listening: every connection is refused
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        began = time.monotonic()
        with tracing("test", wanted=True):
            took = work()
        whole = time.monotonic() - began
    assert took < SLACK_S
    assert whole < took + FLUSH_S + SLACK_S


def test_a_back_end_that_never_answers_costs_no_time_and_its_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        receiver.held_s = 8.0
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1024")
        began = time.monotonic()
        with tracing("test", wanted=True):
            with span("first"):
                pass
            time.sleep(0.3)  # the thread that sends is busy with the first span from here on
            took = work()
        whole = time.monotonic() - began
        receiver.held_s = 0.0
    assert took < SLACK_S
    assert whole < 0.3 + took + FLUSH_S + SLACK_S


def test_the_last_spans_of_a_process_that_fails_arrive() -> None:
    code = """
from telemetry.exporter import tracing
from telemetry.spans import span
with tracing("failing", wanted=True), span("outer"):
    with span("inner"):
        pass
    raise SystemExit(3)
"""
    with receiving() as receiver:
        # The thread that sends would wake only after an hour: it is the end of the block that sends.
        environment = os.environ | receiver.environment | {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        environment |= {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=sesame4711", "OTEL_SERVICE_NAME": "mine"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60)
        assert done.returncode == 3
        assert {one.name: one.failed for one in receiver.spans} == {"outer": True, "inner": False}
        assert {one.service for one in receiver.spans} == {"mine"}
        assert receiver.headers[0]["api-key"] == "sesame4711" and b"sesame" not in b"".join(receiver.bodies)


def test_a_share_of_the_episodes_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
        with tracing("test", wanted=True), span("run"):
            for number in range(200):
                with span("episode", trajectory=f"i0001-click-test.{number}-m00"), span("step"):
                    pass
        kept = receiver.named("episode")
        assert 30 <= len(kept) <= 70 and len(receiver.named("run")) == 1
        assert sorted(one.parent for one in receiver.named("step")) == sorted(one.id for one in kept)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "expected OTEL_EXPORTER_OTLP_PROTOCOL to be http/protobuf, found 'grpc'",
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, "expected OTEL_TRACES_EXPORTER to be otlp or none, found 'console'"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "expected an address such as http://localhost:4318 in"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://me:sesame@x.test"}, "expected no user and password in"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "expected OTEL_TRACES_SAMPLER to be always_on, always_off or"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7"}, "from 0 to 1, found '7'"),
    ],
)
def test_a_mistake_in_the_environment_is_one_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(TracingError) as refused:
        check(environment)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_the_standard_variables_turn_it_off_and_name_the_address() -> None:
    assert check({}) and traces_endpoint({}) == "http://localhost:4318/v1/traces"
    assert not check({"OTEL_SDK_DISABLED": "true"}) and not check({"OTEL_TRACES_EXPORTER": "none"})
    assert traces_endpoint({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1/"}) == "http://x:1/v1/traces"
    assert traces_endpoint({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x:1/here"}) == "http://x:1/here"
    assert share_of({"OTEL_TRACES_SAMPLER": "always_off"}) == 0.0 and share_of({}) == 1.0
