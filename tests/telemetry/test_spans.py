"""Spans and ids: what a trace gets of a block of code, of its errors, and of hostile text."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Generator

import pytest
from otlp_receiver import Receiver, receiving

from agent.failures import failed
from browser_service.errors import BrowserCrashed
from telemetry.exporter import tracing
from telemetry.ids import bound, ids
from telemetry.log_format import bracketed, message_of
from telemetry.propagation import id_headers, ids_in, parent_of, traceparent
from telemetry.spans import NOTHING, current, is_tracing, span, under

SECRET = "sesame street 4711"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    """A back end that this process sends its spans to while it traces."""
    with receiving() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        yield receiver


def test_without_tracing_nothing_of_opentelemetry_is_loaded() -> None:
    code = "import sys, agent.episodes.episode, rollouts.player, telemetry.subprocesses\n"
    code += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_tracing_a_span_costs_next_to_nothing() -> None:
    def seconds() -> float:
        began = time.thread_time()
        for number in range(1_000):
            with span("step", step=number) as this:
                this.set(action="click")
        return time.thread_time() - began

    assert span("step") is NOTHING and traceparent() is None
    assert min(seconds() for _ in range(10)) < 0.02  # 20 microseconds each; an episode's step takes 100,000 and more


def test_spans_nest_and_carry_the_ids_of_their_blocks(receiver: Receiver) -> None:
    async def work() -> None:
        with span("outer") as outer:
            with bound(run="demo", iteration=3):
                inner = asyncio.create_task(one("task"))
                await asyncio.to_thread(lambda: span("thread").__enter__().__exit__(None, None, None))
                await inner
            with under(NOTHING):
                await one("root")
            assert current() is outer

    async def one(name: str) -> None:
        with span(name, step=4, lease=None):
            await asyncio.sleep(0)

    with tracing("test", wanted=True):
        assert is_tracing()
        asyncio.run(work())
    assert not is_tracing()

    task, thread, root = (receiver.named(name)[0] for name in ("task", "thread", "root"))
    assert receiver.path(task) == ["outer", "task"] and receiver.path(thread) == ["outer", "thread"]
    assert task.attributes == {"rl_loop.run": "demo", "rl_loop.iteration": 3, "rl_loop.step": 4}
    assert root.parent == "" and root.trace != task.trace and root.attributes == {"rl_loop.step": 4}
    assert {one.service for one in receiver.spans} == {"test"}


def test_an_error_is_a_code_and_a_side_and_never_its_message(receiver: Receiver) -> None:
    errors = (failed("site", "NAVIGATION", SECRET, retryable=True), BrowserCrashed(SECRET), KeyError(SECRET))
    with tracing("test", wanted=True):
        for number, error in enumerate(errors):
            with pytest.raises(type(error)), span("broken", step=number):
                raise error
        with pytest.raises(asyncio.CancelledError), span("cancelled"):
            raise asyncio.CancelledError
    found = sorted(receiver.named("broken"), key=lambda one: one.attributes["rl_loop.step"])
    assert all(one.failed for one in found)
    assert [(one.attributes["error.type"], one.attributes.get("rl_loop.fault")) for one in found] == [
        ("NAVIGATION", "site"),
        (BrowserCrashed.code, "infra"),
        ("KeyError", None),
    ]
    cancelled = receiver.named("cancelled")[0]
    assert not cancelled.failed and cancelled.attributes == {"rl_loop.cancelled": True}
    assert all(word.encode() not in body for word in SECRET.split() for body in receiver.bodies)


def test_what_looks_like_no_id_is_left_out_and_other_attributes_are_refused(receiver: Receiver) -> None:
    with tracing("test", wanted=True):
        with span("step", task=SECRET, model="x" * 201, action="click") as this:
            this.set(lease="a\nb", judge="verifier")
        with pytest.raises(KeyError):
            span("step", goal="buy a lamp")
    assert receiver.named("step")[0].attributes == {"rl_loop.action": "click", "rl_loop.judge": "verifier"}


def test_a_span_and_the_ids_travel_in_headers(receiver: Receiver) -> None:
    with tracing("test", wanted=True), bound(run="demo", iteration=3, trajectory="a,b;c=d", lease="not sent"):
        with span("client"):
            headers = id_headers()
            outer = current()
        with under(parent_of(headers["traceparent"])), span("server"):
            assert current().trace_id == outer.trace_id
    assert receiver.path(receiver.named("server")[0]) == ["client", "server"]
    assert ids_in(headers["baggage"]) == {"run": "demo", "iteration": 3}, "a trajectory's id has no such characters"
    assert ids_in("run=x\ny, iteration=12; meta=1 ,iteration=-1,lease=abc,=,run=%0a,attempt=9999999999,colour=red") == {
        "iteration": 12
    }
    assert id_headers() == {} and parent_of("00-nonsense") is NOTHING


def test_a_line_of_the_log_names_the_ids_and_the_trace(receiver: Receiver) -> None:
    assert bracketed() == ""
    with bound(run="demo", iteration=3), bound(iteration=4, trajectory="i4"):
        assert bracketed() == " [run=demo iteration=4 trajectory=i4]"
        with tracing("test", wanted=True), span("step") as this:
            assert bracketed() == f" [run=demo iteration=4 trajectory=i4 trace={this.trace_id}]"
    assert ids() == {}
    line = "2026-11-30 03:05:12,123 ERROR training.learning.update [run=demo] no space left [on disk]"
    assert message_of(line) == "no space left [on disk]"
    assert message_of("Killed [by] nobody") == "Killed [by] nobody"
