"""docs/browser_service.md and docs/fleet.md against the code: people build dashboards and start commands on what it says."""

import re
from pathlib import Path

from browser_service.events import Events
from browser_service.metrics import Metrics
from browser_service.metrics_front import FrontMetrics
from browser_service.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "docs"
DOCS = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("browser_service.md", "fleet.md"))


def test_every_metric_is_listed() -> None:
    fronts = FrontMetrics()
    for family in (*Metrics(Events()).registry.collect(), *fronts.registry.collect(), *fronts.own.collect()):
        name = family.name.removeprefix("browser_service_") + ("_total" if family.type == "counter" else "")
        assert f"`{name}`" in DOCS, name


def test_every_setting_that_is_named_is_there() -> None:
    named = set(re.findall(PREFIX + r"([A-Z_]+)", DOCS)) | set(re.findall(r"^\| `([A-Z_]+)=", DOCS, re.MULTILINE))
    assert {"ADVERTISE_HOST", "TIER_KEY", "ISOLATION", "BLOCKLIST", "CONTROL_PORTS"} <= named
    assert {name.lower() for name in named} <= Settings.model_fields.keys()
