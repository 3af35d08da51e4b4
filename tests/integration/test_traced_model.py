"""A real vLLM's own span of a request is below the caller's span, and has counts and times only."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from otlp_receiver import Receiver, receiving
from real_stack import PROJECT

from flows.services.processes import tethered
from telemetry.exporter import tracing
from telemetry.model_calls import model_call
from telemetry.propagation import trace_headers
from telemetry.spans import span

pytestmark = [pytest.mark.chaos, pytest.mark.vllm, pytest.mark.timeout(1_200)]

START_S = 900.0
SECRET = "sesame-4711"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    """A back end for the spans of this process and of vLLM."""
    with receiving() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        yield receiver


@pytest.fixture
def model(receiver: Receiver, tmp_path: Path) -> Generator[httpx.Client]:
    """A client of a vLLM that serves the tiny policy and sends spans."""
    uds, config, log = tmp_path / "v.sock", tmp_path / "serving.json", tmp_path / "vllm.log"
    small = {"dtype": "float32", "max_model_len": 1_024, "max_num_seqs": 4, "enforce_eager": True}
    config.write_text(json.dumps(small | {"kv_cache_gb": 1, "cpu_threads": 1}))
    command = [sys.executable, "-m", "training.publishing.vllm_server", "--model", str(PROJECT / "policies/tiny")]
    command += ["--uds", str(uds), "--config", str(config), "--traces"]
    with (
        log.open("wb") as output,
        subprocess.Popen(tethered(command), cwd=PROJECT, stdout=output, stderr=output, env=os.environ) as process,
    ):
        try:
            wait_for(uds, process, log)
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds)), base_url="http://policy") as client:
                yield client
        finally:
            process.terminate()
            process.wait(60)


def wait_for(uds: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2_000:]
        if uds.exists():
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds)), base_url="http://policy") as client:
                try:
                    if client.get("/health", timeout=5.0).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
        time.sleep(0.5)
    raise AssertionError(f"vLLM is not ready: {log.read_text()[-2_000:]}")


def test_vllm_names_its_callers_span(receiver: Receiver, model: httpx.Client) -> None:
    name = model.get("/v1/models", timeout=60.0).json()["data"][0]["id"]
    body = {"model": name, "messages": [{"role": "user", "content": f"click {SECRET}"}], "max_tokens": 4}
    with tracing("test", wanted=True), span("step"), model_call("vllm", model=name):
        answer = model.post("/v1/chat/completions", json=body, headers=trace_headers(), timeout=120.0)
    assert answer.status_code == 200, answer.text
    (request,) = receiver.until("llm_request")
    assert receiver.path(request) == ["step", f"chat {name}", "llm_request"]
    assert request.service == "vllm"
    assert request.attributes["gen_ai.usage.completion_tokens"] == answer.json()["usage"]["completion_tokens"]
    assert not [each for each in receiver.bodies if SECRET.encode() in each]
