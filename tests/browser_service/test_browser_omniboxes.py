"""The old wire format: the calls that WebGym's client makes in an episode, in its order and with its habits."""

from collections.abc import Generator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from real_service import Site

from browser_service.settings import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
def http(service: Settings) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


def execute(http: httpx.Client, instance: dict[str, str], name: str, **arguments: object) -> httpx.Response:
    return http.post("/execute", json={name: arguments, **instance})


def picture(http: httpx.Client, instance: dict[str, str], mode: str) -> Image.Image:
    answer = http.get("/screenshot", params={**instance, "interaction_mode": mode})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    return Image.open(BytesIO(answer.content))


def test_an_episode_as_webgym_plays_it(http: httpx.Client, site: Site) -> None:
    site.page("found", "<h1>Result</h1><p>42 EUR</p>", title="Result")
    start = site.page(
        "shop",
        "<form action=/found><input name=q placeholder=Search><button>Find</button></form><a href=/found>Offers</a>"
        "<p style='height:2000px'>long</p>",
        title="Shop",
    )
    for listed in http.get("/info").json()["nodes"][0]["instances"]:
        http.post("/reset", params={"instance_id": listed, "node": http.get("/info").json()["nodes"][0]["url"]})
    instance = http.post("/get", params={"lifetime_mins": 45}).json()
    assert instance.keys() == {"instance_id", "node"}
    assert instance["instance_id"].endswith(f":{http.base_url.port}")

    size = http.get("/metadata", params=instance).json()
    assert (size["width"], size["height"]) == (1280, 768)
    assert execute(http, instance, "visit_page", url=start).json() == {"status": "success"}
    assert execute(http, instance, "get_page_metadata").json() == {"title": "Shop", "url": start}

    assert picture(http, instance, "coordinates").size == (1280, 768)
    assert picture(http, instance, "set_of_marks").size == (1280, 768)
    seen = execute(http, instance, "get_screenshot_info").json()
    regions = seen["interactive_regions"]
    assert seen["visible_rects"] == ["1", "2", "3"] and seen["id_mapping"]["3"] == "3"
    assert [(regions[n]["tag_name"], regions[n]["aria_name"]) for n in "123"] == [
        ("input", "Search"),
        ("button", "Find"),
        ("a", "Offers"),
    ]

    assert execute(http, instance, "page_down", full_page=True).status_code == 200
    assert execute(http, instance, "page_up", full_page=True).status_code == 200
    picture(http, instance, "set_of_marks")
    filled = execute(http, instance, "fill_id", id=1, value="tea", press_enter=True, delete_existing=True)
    assert filled.json() == {"status": "success"}
    assert http.get("/metadata", params=instance).json()["title"] == "Result"
    assert "42 EUR" in execute(http, instance, "get_webpage_text", n_lines=10).json()["text"]
    assert execute(http, instance, "back").status_code == 200
    assert http.get("/probe", params=instance).json() == {"status": "success", "message": "Probe successful"}
    assert http.post("/reset", params=instance).json() == {"status": "success"}

    gone = http.get("/screenshot", params=instance)
    assert gone.status_code == 404 and "image" not in gone.headers["content-type"]
    assert "instance not found" in gone.text
    again = http.post("/reset", params=instance)
    assert again.status_code == 404
    assert "Instance not in use or already released" in again.text and "instance not found" in again.text


def test_commands_without_effect_are_no_success(http: httpx.Client, site: Site) -> None:
    instance = http.post("/get").json()
    execute(http, instance, "visit_page", url=site.page("plain", "nothing to click"))
    failed = execute(http, instance, "click_id", id=5)
    assert failed.status_code == 400 and failed.json()["code"] == "UNKNOWN_MARK"
    dead = execute(http, instance, "visit_page", url="http://no-such-name.invalid/")
    assert dead.status_code == 502 and dead.json()["fault"] == "site"
    for body in (
        {},
        {"back": {}, "reload": {}},
        {"scroll_sideways": {}},
        {"click_coords": {"x": "left"}},
        {"visit_page": {}},
    ):
        answer = http.post("/execute", json={**body, **instance})
        assert answer.status_code == 422, body
    assert http.post("/execute", json=[1]).status_code == 422
    execute(http, instance, "visit_page", url=f"{site.url}/plain")
    rects = execute(http, instance, "get_interactive_rects").json()
    assert rects == {}
    assert execute(http, instance, "screenshot").json() == {"status": "screenshot_taken"}
    http.post("/reset", params=instance).raise_for_status()


def test_an_unknown_node_or_instance_is_not_found(http: httpx.Client) -> None:
    instance = http.post("/get").json()
    wrong_node = http.post("/reset", params={**instance, "node": "http://elsewhere:1"})
    assert wrong_node.status_code == 400 and "is not found" in wrong_node.json()["detail"]
    assert http.get("/metadata", params={"instance_id": "nobody:7000", "node": instance["node"]}).status_code == 404
    assert http.get("/metadata", params={"node": instance["node"]}).status_code == 422
    http.post("/reset", params=instance).raise_for_status()


def test_lifetime_is_honoured(http: httpx.Client) -> None:
    instance = http.post("/get", params={"lifetime_mins": 2}).json()
    session = http.get("/info").json()["nodes"][0]["sessions"][0]
    assert 100 < session["expires_in_s"] <= 120
    http.post("/reset", params=instance).raise_for_status()
    assert http.post("/get", params={"lifetime_mins": 0}).status_code == 422


def test_a_busy_page_fails_its_probe_and_keeps_its_lease(http: httpx.Client, site: Site) -> None:
    """It computes for longer than a probe waits, and then has a moment for others."""
    busy = "const work = () => { const end = Date.now() + 1600; while (Date.now() < end); setTimeout(work, 50) }; setTimeout(work)"
    instance = http.post("/get").json()
    execute(http, instance, "visit_page", url=site.page("busy", "busy", script=busy))
    probes = [http.get("/probe", params=instance) for _ in range(8)]
    failed = next(probe for probe in probes if probe.status_code != 200)
    assert (failed.status_code, failed.json()) == (500, {"status": "error", "message": "Probe failed"})
    assert execute(http, instance, "visit_page", url=site.page("idle", "idle")).json() == {"status": "success"}
    assert http.get("/probe", params=instance).json() == {"status": "success", "message": "Probe successful"}
    assert http.get("/metadata", params=instance).json()["title"] == "idle", "the session is the same"
    http.post("/reset", params=instance).raise_for_status()
