"""The full prompt: golden texts per mode and profile, the window of pictures, memory, and a budget in whole things."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import AgentConfig
from agent.profiles import PROFILES, QWEN3_VL, ProfileName
from agent.prompting.budget import Costs, PromptTooLong, fit, text_tokens
from agent.prompting.prompts import compose
from agent.types import Completion, Step
from browser_service.models import (
    Box,
    ClickCoords,
    ClickId,
    InteractionMode,
    Mark,
    Observation,
    Screenshot,
    Tab,
    Viewport,
)

GOLDEN = Path(__file__).parent / "golden"
VIEWPORT = Viewport(width=320, height=256)
BOX = Box(x=0, y=0, width=1, height=1)


def picture(number: int) -> tuple[str, bytes]:
    data = f"picture {number}".encode()
    return hashlib.sha256(data).hexdigest(), data


def page(number: int, *, data: bool = False, marks: int = 2, **fields: Any) -> Observation:
    sha256, content = picture(number)
    shot = Screenshot(
        sha256=sha256,
        media_type="image/png",
        width=320,
        height=256,
        data=base64.b64encode(content).decode() if data else None,
    )
    named = [Mark(id=n + 1, role="button", name=f"button {n + 1}", box=BOX) for n in range(marks)]
    return Observation(
        url=f"http://shop/{number}", title=f"Page {number}", viewport=VIEWPORT, screenshot=shot, marks=named, **fields
    )


def history(count: int, mode: InteractionMode = "set_of_marks") -> tuple[list[Step], dict[str, bytes]]:
    """Steps that click, the second of which fails; with thinking and a memory in every reply."""
    steps = [
        Step(
            index=n,
            observation=page(n),
            completion=Completion(
                text=f"<think>secret {n}</think>\nPage {n} is open.\nMemory: seen {n}\nclick({n + 1})"
            ),
            action=ClickId(id=n + 1) if mode == "set_of_marks" else ClickCoords(x=160, y=64),
            feedback="the element is gone" if n == 1 else "",
            effect="" if n == 1 else f'the page is now "Page {n + 1}" at http://shop/{n + 1}',
        )
        for n in range(count)
    ]
    return steps, dict(picture(n) for n in range(count + 1))


def written(prompt: list[dict[str, Any]]) -> str:
    """A prompt as text; a picture by its content."""
    blocks: list[str] = []
    for message in prompt:
        content = message["content"]
        parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        shown = [
            part["text"]
            if part["type"] == "text"
            else f"[{base64.b64decode(part['image_url']['url'].partition(',')[2]).decode()}]"
            for part in parts
        ]
        blocks.append(f"--- {message['role']}\n" + "\n".join(shown))
    return "\n".join(blocks) + "\n"


@pytest.mark.parametrize("mode", get_args(InteractionMode))
@pytest.mark.parametrize("profile", PROFILES)
def test_prompts_are_these(mode: InteractionMode, profile: ProfileName) -> None:
    """To write them anew after a change that is meant: `WRITE_GOLDEN=1 pytest tests/agent/test_conversation.py`, then read the diff."""
    config = AgentConfig(interaction_mode=mode, profile=profile, image_rounds=2, history_steps=8)
    steps, pictures = history(4, mode)
    tabs = [Tab(url="http://shop/4", title="Page 4", active=True), Tab(url="http://help/", title="Help", active=False)]
    prompt = compose("Buy a lamp.", steps, page(4, data=True, tabs=tabs), config, pictures)
    assert prompt.images == tuple(picture(n)[0] for n in (2, 3, 4))
    text, path = written(prompt.messages), GOLDEN / f"{mode}-{profile}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
    assert "secret" not in text


def test_the_window_ends_at_a_picture_that_is_missing() -> None:
    steps, pictures = history(4)
    del pictures[picture(2)[0]]
    prompt = compose("x", steps, page(4, data=True), AgentConfig(image_rounds=3), pictures)
    assert prompt.images == (picture(3)[0], picture(4)[0])


def test_the_newest_memory_is_shown_and_can_be_switched_off() -> None:
    steps, pictures = history(3)
    last = steps[-1].model_copy(update={"completion": Completion(text="click(3)")})
    text = written(compose("x", [*steps[:-1], last], page(3, data=True), AgentConfig(), pictures).messages)
    assert "Memory: seen 1\nTask: x" in text
    text = written(compose("x", steps, page(3, data=True), AgentConfig(memory=False), pictures).messages)
    assert "Memory:" not in text


def test_a_reply_that_was_cut_off_while_thinking_is_not_in_the_history() -> None:
    cut = Step(
        index=0,
        observation=page(0),
        completion=Completion(text="I wonder whether", finish_reason="length"),
        action=None,
        feedback="cut off",
    )
    config = AgentConfig(profile="qwen3-think", image_rounds=1)
    text = written(compose("x", [cut], page(1, data=True), config, dict([picture(0)])).messages)
    assert "I wonder" not in text
    assert "Result: failed: cut off" in text


def test_pictures_go_first_then_history_then_elements() -> None:
    steps, pictures = history(6)
    now = page(6, data=True, marks=40)
    seen: list[tuple[int, int, int]] = []
    for budget in range(3_000, 300, -20):
        config = AgentConfig(image_rounds=3, prompt_tokens=budget, history_steps=20)
        try:
            prompt = compose("Buy a lamp.", steps, now, config, pictures)
        except PromptTooLong:
            break
        text = written(prompt.messages)
        assert prompt.images[-1] == picture(6)[0]  # the page itself always has its picture
        seen.append((len(prompt.images), text.count("Step "), text.count('" button\n')))
    assert seen[0] == (4, 3, 40)
    assert seen[-1][:2] == (1, 0) and seen[-1][2] < 40
    for images, lines, elements in seen:
        if (
            lines < 7 - images
        ):  # a step that lost its picture has become a line; fewer lines mean that some are left out
            assert images == 1
        if elements < 40:
            assert (images, lines) == (1, 0)


def test_a_page_that_cannot_fit_is_refused_in_words() -> None:
    config = AgentConfig(prompt_tokens=256)
    with pytest.raises(PromptTooLong, match=r"about \d+ tokens, but agent.prompt_tokens is 256"):
        compose("long " * 2_000, [], page(0, data=True), config)


@given(
    st.integers(0, 500),
    st.lists(st.integers(1, 400), max_size=6),
    st.lists(st.integers(1, 50), max_size=12),
    st.lists(st.integers(1, 30), max_size=30),
    st.integers(0, 3_000),
    st.integers(0, 12),
)
def test_what_is_kept_fits_and_nothing_is_left_out_before_its_turn(
    fixed: int, rounds: list[int], more: list[int], elements: list[int], budget: int, most: int
) -> None:
    costs = Costs(fixed, rounds, [7] * len(rounds) + more, elements)
    try:
        kept = fit(costs, budget, most_lines=most)
    except PromptTooLong:
        assert fixed > budget
        return
    reported = len(costs.lines) - kept.rounds
    total = fixed + sum(rounds[len(rounds) - kept.rounds :]) + sum(costs.lines[reported - kept.lines : reported])
    assert total + sum(elements[: kept.elements]) <= budget
    if kept.elements < len(elements):
        assert kept.rounds == kept.lines == 0
    if kept.lines < min(most, reported):
        assert kept.rounds == 0
    assert fit(costs, None, most_lines=most).rounds == len(rounds)


def test_pictures_are_counted_as_the_processor_does() -> None:
    """Expected values: transformers' `smart_resize` with factor 32 and Qwen3-VL's bounds, divided by 32 x 32, plus two."""
    for size, tokens in (
        ((1280, 768), 40 * 24),
        ((1920, 1080), 60 * 34),
        ((160, 210), 7 * 10),
        ((32, 32), 8 * 8),
        ((8000, 6000), 147 * 110),
    ):
        assert QWEN3_VL.tokens(*size) == tokens + 2, size


@given(st.text())
def test_text_is_never_counted_as_nothing(text: str) -> None:
    assert text_tokens(text) >= len(text) / 3
