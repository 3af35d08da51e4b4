"""Lighthouse over the pages as people load them: speed, accessibility, good practice. Needs `npm install` in dashboard/web."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from served_pages import served
from stored_run import SUCCESS, write_run

import dashboard
from dashboard.app import create_app

LIGHTHOUSE = Path(dashboard.__file__).parent / "web/node_modules/.bin/lighthouse"
LEAST = 0.9
"""Score of each category, of 1."""

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(not LIGHTHOUSE.exists(), reason="run `npm install` in dashboard/web"),
]


@pytest.mark.parametrize("page", ["/", "/#/run/demo", "/#/run/demo/1/rollout", f"/#/run/demo/1/rollout/{SUCCESS}"])
def test_pages_are_fast_accessible_and_sound(page: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs")
    report = tmp_path / "report.json"
    with served(create_app(tmp_path / "runs")) as address:
        command = [str(LIGHTHOUSE), f"{address.rstrip('/')}{page}", "--quiet", "--preset=desktop", "--output=json"]
        command += ["--chrome-flags=--headless --no-sandbox", f"--output-path={report}"]
        command += ["--only-categories=performance,accessibility,best-practices"]
        chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        environment = os.environ | ({"CHROME_PATH": chromium} if chromium else {})
        subprocess.run(command, env=environment, timeout=180, check=True, stdin=subprocess.DEVNULL)
    scores = {name: found["score"] for name, found in json.loads(report.read_text())["categories"].items()}
    assert min(scores.values()) >= LEAST, scores
