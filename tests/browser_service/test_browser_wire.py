"""OmniBoxes' commands, one row each: what an old client sends, and what it gets back. Mangled bodies break nothing."""

import json
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from real_service import Site, running_service

from browser_service.api.omniboxes import ACTIONS, KINDS, LOOKS
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
SUCCESS = {"status": "success"}


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Short waits: many commands are sent."""
    with running_service(slots=2, settle_cap_s=0.3, navigation_deadline_s=3) as running:
        yield running


@pytest.fixture(scope="module")
def http(service: Settings) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def instance(http: httpx.Client) -> Generator[dict[str, str], None, None]:
    """One lease of an old client for all rows."""
    granted = http.post("/get", params={"lifetime_mins": 45}).json()
    yield granted
    http.post("/reset", params=granted).raise_for_status()


@pytest.fixture(scope="module")
def page(site: Site) -> str:
    """Something of everything."""
    site.page("next", "next page")
    return site.page(
        "wire",
        '<meta name=author content=Ann><script type=\'application/ld+json\'>{"@type": "Thing"}</script>'
        "<div itemscope itemtype=http://schema.test/Item><span itemprop=name>Cup</span></div>"
        "<button>ok</button><input aria-label=q><select size=2><option>one<option>two</select>"
        "<div id=area style='height:60px;width:90px;overflow:auto'><p style='height:900px'>long</p></div><a href=/next>go</a>"
        "<p style='height:2000px'>line</p><button>far</button>",
        title="Wire",
    )


ROWS: list[tuple[str, dict[str, Any] | None]] = [
    ("click_coords", {"x": 5.5, "y": 700}),
    ("click_id", {"id": 1}),
    ("click_id", {"id": "1"}),
    ("fill_coords", {"x": 120.0, "y": 37.0, "value": "a"}),
    ("fill_id", {"id": 2, "value": "b", "press_enter": True, "delete_existing": True}),
    ("select_option", {"id": 4}),
    ("hover_id", {"id": 1}),
    ("hover_coords", {"x": 10, "y": 10}),
    ("hover_and_scroll_coords", {"x": 10, "y": 10}),
    ("hover_and_scroll_coords", {"x": 10, "y": 10, "direction": "up"}),
    ("scroll_coords", {"x": 10, "y": 10, "dx": 0, "dy": 100}),
    ("scroll_id", {"id": 6, "direction": "down"}),
    ("page_down", {}),
    ("page_down", {"amount": 100, "full_page": False}),
    ("page_up", {"full_page": True}),
    ("keypress", {"keys": ["ctrl", "a"]}),
    ("tab_and_enter", {}),
    ("sleep", {"duration": 0.01}),
    ("back", {}),
    ("back", None),
]


def execute(http: httpx.Client, instance: dict[str, str], name: str, arguments: Any) -> httpx.Response:
    return http.post(
        "/execute", content=json.dumps({name: arguments, **instance}), headers={"content-type": "application/json"}
    )


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_answers_success_byte_for_byte(
    http: httpx.Client, instance: dict[str, str], page: str, name: str, arguments: dict[str, Any] | None
) -> None:
    assert execute(http, instance, "visit_page", {"url": page}).content == b'{"status":"success"}'
    http.get("/screenshot", params={**instance, "interaction_mode": "set_of_marks"}).raise_for_status()
    answer = execute(http, instance, name, arguments)
    assert (answer.status_code, answer.content) == (200, b'{"status":"success"}')
    assert answer.headers["content-type"] == "application/json"


def test_questions_have_omniboxes_shapes(http: httpx.Client, instance: dict[str, str], page: str) -> None:
    execute(http, instance, "visit_page", {"url": page})
    said = execute(http, instance, "get_page_metadata", {}).json()
    assert said == {
        "title": "Wire",
        "url": page,
        "meta_tags": {"author": "Ann"},
        "jsonld": ['{"@type": "Thing"}'],
        "microdata": [{"type": "http://schema.test/Item", "properties": {"name": "Cup"}}],
    }
    assert execute(http, instance, "get_webpage_text", {"n_lines": 1}).json() == {"text": "Cup"}
    assert len(execute(http, instance, "get_webpage_text", {}).json()["text"].splitlines()) > 3
    assert execute(http, instance, "screenshot", {"interaction_mode": "coordinates"}).json() == {
        "status": "screenshot_taken"
    }
    rects = execute(http, instance, "get_interactive_rects", {}).json()
    button = next(region for region in rects.values() if region["aria_name"] == "ok")
    assert button.keys() == {"tag_name", "role", "aria_name", "v_scrollable", "rects"}
    assert button["rects"][0].keys() == {"x", "y", "width", "height", "top", "right", "bottom", "left"}
    assert any(region["aria_name"] == "far" for region in rects.values()), "out of view too"


def test_a_number_never_means_two_elements(http: httpx.Client, instance: dict[str, str], site: Site) -> None:
    """On a scrolled page OmniBoxes' displayed numbers from 10 on named elements out of view."""
    rows = "".join(
        f"<button style='display:block;height:30px' onclick='document.title={n}'>{n}</button>" for n in range(100)
    )
    execute(http, instance, "visit_page", {"url": site.page("rows", rows)})
    execute(http, instance, "page_down", {"amount": 600})
    http.get("/screenshot", params=instance).raise_for_status()
    info = execute(http, instance, "get_screenshot_info", {}).json()
    assert info.keys() == {"visible_rects", "rects_above", "rects_below", "interactive_regions", "id_mapping"}
    visible, above, below = (info[key] for key in ("visible_rects", "rects_above", "rects_below"))
    assert len(visible) > 15 and len(above) > 15 and len(below) > 15
    assert not set(visible) & set(above + below) and set(info["id_mapping"]) == set(visible + above + below)
    named = {
        number: info["interactive_regions"][info["id_mapping"][number]]["aria_name"] for number in info["id_mapping"]
    }
    assert len(set(named.values())) == 100
    for number in (visible[0], visible[12], above[3], below[3]):
        assert execute(http, instance, "click_id", {"id": int(number)}).json() == SUCCESS
        assert http.get("/metadata", params=instance).json()["title"] == named[number]


def test_there_is_no_screenshot_info_before_the_first_screenshot(http: httpx.Client) -> None:
    fresh = http.post("/get").json()
    assert execute(http, fresh, "get_screenshot_info", {}).json() == {"error": "No screenshot info available"}
    empty = execute(http, fresh, "get_page_metadata", {}).json()
    assert empty == {"title": "Unknown Page", "url": "about:blank"}
    http.post("/reset", params=fresh).raise_for_status()


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ({"fly": {}}, 422, "Unsupported command: fly"),
        ({}, 422, "Unsupported command: none"),
        ({"back": {}, "reload": {}}, 422, "Only one command per request is supported"),
        ({"click_id": {"id": 77}}, 400, "Element with identifier 77 not found or not visible"),
        ({"click_id": {}}, 422, "id"),
        ({"get_webpage_text": {"n_lines": "many"}}, 422, "n_lines"),
        ({"sleep": 5}, 422, "the arguments of sleep must be an object"),
        ({"page_down": [500]}, 422, "the arguments of page_down must be an object such as {}, found [500]"),
        ({"visit_page": {"url": "file:///etc/passwd"}}, 400, "can't be visited"),
        ({"visit_page": {"url": "http://no-such-name.invalid/"}}, 502, "no-such-name"),
    ],
)
def test_what_was_not_done_says_so(
    http: httpx.Client, instance: dict[str, str], page: str, command: dict[str, Any], status: int, message: str
) -> None:
    execute(http, instance, "visit_page", {"url": page})
    answer = http.post("/execute", json={**command, **instance})
    assert answer.status_code == status
    said = answer.json()
    assert said["status"] == "error" and said["message"].startswith("Failed to execute command: ")
    assert message in said["message"] and {"code", "fault", "detail"} <= said.keys()


LENIENT: list[tuple[str, dict[str, Any], str]] = [
    ("click_coords", {"x": 2_000, "y": 5}, "outside the view"),
    ("click_coords", {"x": -3, "y": 5}, "outside the view"),
    ("click_coords", {"x": 5, "y": 5, "speed": 9}, "speed is unknown"),
    ("fill_coords", {"x": 700, "y": 700, "value": "a"}, "takes no text"),
    ("keypress", {"keys": "a"}, ""),
    ("keypress", {"keys": []}, "nothing was pressed"),
    ("scroll_id", {"id": 77}, "no mark 77"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), LENIENT)
def test_what_omniboxes_let_pass_is_let_pass_with_a_reason(
    http: httpx.Client, instance: dict[str, str], page: str, name: str, arguments: dict[str, Any], message: str
) -> None:
    execute(http, instance, "visit_page", {"url": page})
    answer = execute(http, instance, name, arguments)
    assert answer.status_code == 200 and answer.json()["status"] == "success", answer.text
    assert message in answer.json().get("message", "")


def test_a_picture_of_an_unknown_mode_is_one_with_marks(
    http: httpx.Client, instance: dict[str, str], page: str
) -> None:
    execute(http, instance, "visit_page", {"url": page})
    shot = http.get("/screenshot", params={**instance, "interaction_mode": "fancy"})
    assert shot.status_code == 200 and shot.headers["content-type"] == "image/png"
    assert execute(http, instance, "screenshot", {"interaction_mode": "fancy"}).json() == {"status": "screenshot_taken"}


def test_going_back_without_history_is_success_there(http: httpx.Client) -> None:
    fresh = http.post("/get").json()
    answer = execute(http, fresh, "back", {})
    assert answer.status_code == 200 and "no page to go back to" in answer.json()["message"]
    http.post("/reset", params=fresh).raise_for_status()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://no-such-name.invalid/", "no-such-name"),
        ("http://127.0.0.1:9/", "ERR_UNSAFE_PORT"),
        ("http://10.9.9.9/", "10.9.9.9"),
    ],
)
def test_a_click_whose_link_leads_nowhere_has_happened(
    http: httpx.Client, instance: dict[str, str], site: Site, address: str, message: str
) -> None:
    """The site is down, Chromium refuses the address, or the egress rules do: the click was made all the same."""
    url = site.page("dead-link", f"<a href='{address}'>away</a>")
    execute(http, instance, "visit_page", {"url": url})
    http.get("/screenshot", params={**instance, "interaction_mode": "set_of_marks"}).raise_for_status()
    answer = execute(http, instance, "click_id", {"id": 1})
    assert answer.status_code == 200 and message in answer.json()["message"]


def test_a_scroll_at_a_point_takes_webgyms_direction(http: httpx.Client, instance: dict[str, str], site: Site) -> None:
    script = "onscroll = () => { document.title = scrollY > 0 ? 'below' : 'top'; };"
    url = site.page("tall", "<p style='height:4000px'>tall</p>", script=script)
    execute(http, instance, "visit_page", {"url": url})
    for direction, title in (("down", "below"), ("up", "top")):
        answer = execute(http, instance, "scroll_coords", {"x": 100, "y": 100, "direction": direction})
        assert answer.content == b'{"status":"success"}'
        assert execute(http, instance, "get_page_metadata", {}).json()["title"] == title


def test_options_of_a_clicked_dropdown_have_ids(http: httpx.Client, instance: dict[str, str], site: Site) -> None:
    options = "<option>Small<option>Large<optgroup label=x disabled><option>Gone</optgroup>"
    url = site.page("dropdown", f"<select aria-label=Size>{options}</select><button>after</button>")
    execute(http, instance, "visit_page", {"url": url})
    http.get("/screenshot", params={**instance, "interaction_mode": "set_of_marks"}).raise_for_status()
    execute(http, instance, "click_id", {"id": 1}).raise_for_status()
    http.get("/screenshot", params={**instance, "interaction_mode": "set_of_marks"}).raise_for_status()
    info = execute(http, instance, "get_screenshot_info", {}).json()
    named = {info["interactive_regions"][one]["aria_name"]: one for one in info["visible_rects"]}
    assert list(named) == ["Size", "Small", "Large", "after"]
    assert execute(http, instance, "select_option", {"id": named["Large"]}).content == b'{"status":"success"}'
    text = execute(http, instance, "get_interactive_rects", {}).json()
    assert text["1"]["aria_name"] == "Size"


def test_every_command_of_omniboxes_is_there() -> None:
    theirs = """visit_page back click_coords click_id fill_coords fill_id select_option hover_id hover_coords
        hover_and_scroll_coords scroll_id page_down page_up keypress tab_and_enter sleep get_page_metadata get_webpage_text
        get_interactive_rects get_screenshot_info screenshot scroll_coords"""
    assert set(theirs.split()) <= KINDS | LOOKS.keys()


# ---- any body at all ----------------------------------------------------------------------------------------------
# What takes long or leaves the page is tested elsewhere.
SLOW = {"sleep", "visit_page", "open_tab", "upload"}
FIELDS = sorted(
    {name for kind in ACTIONS for name in kind.model_fields if name != "kind"} | {"n_lines", "interaction_mode"}
)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["down", "left", "1", "NaN", "a\0b", "\ud800", "Enter", "Control"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(1, 9),
        "x": st.floats(0, 1_300),
        "y": st.floats(0, 800),
        "to_x": st.integers(0, 1_300),
        "to_y": st.integers(0, 800),
        "value": st.text(max_size=20),
        "keys": st.lists(
            st.sampled_from(["Enter", "Control", "a", "Tab", "F5", "Escape", "nonsense", "+"]), min_size=1, max_size=3
        ),
        "direction": st.sampled_from(["up", "down", "left", "right"]),
        "amount": st.integers(1, 3_000),
        "index": st.integers(0, 3),
        "dx": st.floats(-500, 500),
        "dy": st.floats(-500, 500),
        "label": st.sampled_from(["one", "two", "three"]),
    },
)
ODD_NAMES = st.text(max_size=30) | st.sampled_from(["\ud800", "a.1.1.\ud800", "aHR0cDo.1.1.\ud800:1", "", "a\0b"])
COMMANDS = st.sampled_from(sorted((KINDS | LOOKS.keys()) - SLOW))
ARGUMENTS = FITTING | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), ODD, max_size=4) | ODD
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(
    command=COMMANDS | st.text(max_size=10),
    arguments=ARGUMENTS,
    more=st.dictionaries(st.text(max_size=8), ODD, max_size=2),
)
def test_no_body_of_execute_breaks_anything(
    http: httpx.Client, instance: dict[str, str], page: str, command: str, arguments: Any, more: dict[str, Any]
) -> None:
    body = json.dumps({**more, command: arguments, **instance})
    answer = http.post("/execute", content=body, headers={"content-type": "application/json"})
    unreachable = answer.status_code == 502 and answer.json()["fault"] == "site"  # the history may lead to such a page
    assert unreachable or answer.status_code in (200, 400, 422), (body, answer.text)
    assert http.get("/probe", params=instance).status_code == 200, body


@FUZZ
@given(which=st.sampled_from(["instance_id", "token", "node"]), odd=ODD_NAMES)
@example(which="token", odd="\ud800")
@example(which="instance_id", odd="\ud800")
def test_no_name_of_a_lease_breaks_anything(
    http: httpx.Client, instance: dict[str, str], stepped: "Stepped", which: str, odd: str
) -> None:
    for path, named in (("/execute", instance), ("/execute", stepped.reference), ("/renew", stepped.reference)):
        if path == "/renew" and which == "node":
            continue
        command = {"back": {}} if path == "/execute" else {}
        body = json.dumps({**command, **named, which: odd})
        answer = http.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404, 409, 422), (path, body, answer.text)
        assert {"code", "fault", "detail"} <= answer.json().keys()
    refused = http.post(
        "/release", content=json.dumps({"idempotency_key": odd}), headers={"content-type": "application/json"}
    )
    assert refused.status_code in (200, 422), (odd, refused.text)
    assert http.get("/probe", params=instance).status_code == 200


@FUZZ
@given(
    kind=COMMANDS,
    fitting=FITTING,
    odd=st.dictionaries(st.sampled_from([*FIELDS, "kind"]), ODD, max_size=2),
    observe=ODD,
)
def test_no_body_of_step_breaks_anything(
    http: httpx.Client, stepped: "Stepped", kind: str, fitting: dict[str, Any], odd: dict[str, Any], observe: Any
) -> None:
    fields = next((model.model_fields for model in ACTIONS if model.model_fields["kind"].default == kind), {})
    action = {"kind": kind, **{name: value for name, value in fitting.items() if name in fields}, **odd}
    if str(action.get("kind")) in SLOW:
        return
    for wanted in ({"screenshot": False}, observe):
        answer = stepped.step(http, action, wanted)
        assert answer.status_code in (200, 422), (action, wanted, answer.text)


class Stepped:
    """A lease and the number of its next step."""

    def __init__(self, lease: dict[str, Any]) -> None:
        self.lease = lease
        self.next = 0

    @property
    def reference(self) -> dict[str, str]:
        return {name: self.lease[name] for name in ("instance_id", "token")}

    def step(self, http: httpx.Client, action: Any, observe: Any) -> httpx.Response:
        content = json.dumps({**self.reference, "step_id": self.next, "action": action, "observe": observe})
        self.next += 1
        return http.post("/step", content=content, headers={"content-type": "application/json"})


@pytest.fixture(scope="module")
def stepped(http: httpx.Client, page: str) -> Generator[Stepped, None, None]:
    lease = http.post("/get", json={"owner": "fuzz", "ttl_s": 120}).json()
    stepped = Stepped(lease)
    stepped.step(http, {"kind": "visit_page", "url": page}, {}).raise_for_status()
    yield stepped
    assert stepped.step(http, {"kind": "observe"}, {}).status_code == 200, "the session outlived it all"
    http.post("/release", json={"instance_id": lease["instance_id"], "token": lease["token"]}).raise_for_status()
