"""One trajectory as one HTML file: nothing of a stranger's becomes markup, nothing is fetched, its size is bounded."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Box, ClickCoords, ClickId, Mark, Observation, Screenshot, Viewport
from storage.sharing.html_file import LONGEST_TEXT, trajectory_file

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 3_000
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
HOSTILE = "</pre></section><script>alert(1)</script><img src=http://x.example onerror=alert(1)>'\"&\u202e\x00"
ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "h2",
        "h3",
        "section",
        "dl",
        "dt",
        "dd",
        "b",
        "p",
    ),
    *("br", "span", "nav", "a", "main", "div", "svg", "image", "use", "rect", "circle", "pre"),
}


class Seen(HTMLParser):
    """The elements and attributes that a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def played(text: str, *shots: bytes) -> Trajectory:
    """A trajectory with a step per picture, and `text` wherever a stranger writes."""
    mark = Mark(id=1, role="button", name=text, box=Box(x=1, y=2, width=30, height=10))

    def seen(shot: bytes) -> Observation:
        picture = Screenshot(sha256=name_of(shot), media_type="image/png", width=160, height=210)
        size = Viewport(width=160, height=210)
        return Observation(
            url=text, title=text, viewport=size, screenshot=picture, marks=[mark], dialogs=[text], notices=[text]
        )

    said = Completion(text=text, thoughts=text, token_ids=(1, 2), logprobs=(-0.5, -1.5))
    actions = (ClickId(id=1), ClickCoords(x=10, y=20))
    steps = tuple(
        Step(
            index=n,
            observation=seen(shot),
            completion=said,
            action=actions[n % 2],
            feedback=text,
            effect=text,
            seconds={text[:20]: 1.0},
        )
        for n, shot in enumerate(shots)
    )
    return Trajectory(
        id="i0001-t-m00",
        task=Task(id="t", environment="miniwob"),
        goal=text,
        group="g",
        member=0,
        iteration=1,
        steps=steps,
        stop=StopReason.DONE,
        final_observation=seen(shots[-1]),
        answer=text,
        final_state={text[:50]: text},
    )


def file_of(found: Trajectory, *shots: bytes, verdict: Verdict | None = None, most_bytes: int = 1 << 20) -> str:
    return trajectory_file(
        found, verdict, {name_of(one): one for one in shots}.__getitem__, most_bytes=most_bytes
    ).decode()


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60) | st.sampled_from([HOSTILE, "]]>", "{{ 7*7 }}{% raw %}", "javascript:alert(1)"]))
def test_no_text_of_a_stranger_becomes_markup_or_an_address(text: str) -> None:
    verdict = Verdict(
        trajectory_id="i0001-t-m00",
        reward=0.5,
        judge="rubric",
        evidence=text,
        criteria={text: True},
        quotes=(text,),
        evidence_steps=(0, 1),
    )
    page = Seen(file_of(played(text, PNG), PNG, verdict=verdict))
    assert page.tags <= ELEMENTS
    for name, value in page.attributes:
        assert not name.startswith("on") and name not in ("src", "action", "style")
        assert name != "href" or value.startswith(("#", "data:image/png;base64,")), (name, value[:50])


def test_the_content_policy_allows_its_own_style_and_data_images_alone() -> None:
    page = file_of(played("Click it.", PNG), PNG)
    [policy] = [value for name, value in Seen(page).attributes if value.startswith("default-src")]
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")


def test_a_picture_is_in_the_file_once_and_only_as_long_as_there_is_room() -> None:
    other = PNG + b"1"
    page = file_of(played("Click it.", PNG, PNG, other), PNG, other)
    assert page.count("data:image/png") == 2 and page.count("<use ") == 2 and page.count('class="point"') == 1
    small = file_of(played("Click it.", PNG, PNG, other), PNG, other, most_bytes=5_000)
    assert small.count("data:image/png") == 1 and "2 pictures did not fit into this file." in small
    assert len(small) < 5_000 + 25_000


def test_svg_damaged_and_missing_pictures_are_reported_and_left_out() -> None:
    page = file_of(played("Click it.", SVG, PNG), SVG)
    assert "neither PNG nor JPEG nor WebP" in page and "missing or damaged" in page
    assert "data:" not in page.split("<body>")[1] and "alert" not in page


def test_a_long_text_is_cut_and_a_criterion_leads_to_its_step() -> None:
    verdict = Verdict(trajectory_id="i0001-t-m00", reward=1.0, judge="rubric", evidence_steps=(0, 1))
    page = html.unescape(file_of(played("x" * (LONGEST_TEXT + 5), PNG), PNG, verdict=verdict))
    assert f"… ({LONGEST_TEXT + 5} characters)" in page and "x" * (LONGEST_TEXT + 1) not in page
    assert '<a href="#step-1">step 1</a>' in page and '<a href="#end">the end</a>' in page


@pytest.mark.parametrize("verdict", [None, Verdict(trajectory_id="i0001-t-m00", reward=None, judge="rubric")])
def test_a_trajectory_without_steps_is_a_file_too(verdict: Verdict | None) -> None:
    bare = played("Click it.", PNG).model_copy(update={"steps": (), "final_observation": None, "answer": None})
    page = file_of(bare, verdict=verdict)
    assert "not judged" in page and "The episode broke before its last page could be seen." in page
