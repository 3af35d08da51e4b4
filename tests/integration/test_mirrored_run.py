"""A run that is copied to S3 goes on on another machine: two folders stand for two machines."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from real_stack import Stack
from run_invariants import check_finished, check_unchanged, finished_files

from storage.mirror.objects import ObjectStore

pytestmark = [pytest.mark.stack, pytest.mark.chaos]


def test_a_run_is_fetched_and_goes_on(
    stack: Stack, runs: Path, unused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = unused("copied")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}
        for key, value in (settings | {"ENDPOINT_URL": f"http://{host}:{port}"}).items():
            monkeypatch.setenv(f"AWS_{key}", value)
        ObjectStore("s3://copies")._fs.mkdir("copies")
        mirror = "storage.mirror=s3://copies/runs"
        done = stack.rl_loop("run", stack.config, "--no-prefect", "--name", name, "iterations=1", mirror)
        assert done.status == 0, done.out
        before = finished_files(runs / name)
        shutil.move(runs / name, tmp_path / name)

        fetched = stack.rl_loop("fetch", name, "-c", stack.config, mirror)
        assert fetched.status == 0 and "resume" in fetched.out, fetched.out
        check_unchanged(before, runs / name)
        resumed = stack.rl_loop("resume", name, "-c", stack.config, "--no-prefect", "iterations=2")
        assert resumed.status == 0, resumed.out
        check_unchanged(before, runs / name)
        check_finished(stack, name)

        shutil.rmtree(runs / name)
        shutil.move(tmp_path / name, runs / name)
        refused = stack.rl_loop("resume", name, "-c", stack.config, "--no-prefect", "iterations=3")
        assert refused.status == 1 and "only one machine goes on with a run" in refused.out, refused.out
        shutil.rmtree(runs / name)
        assert stack.rl_loop("fetch", name, "-c", stack.config, mirror).status == 0
        check_finished(stack, name)
    finally:
        server.stop()
