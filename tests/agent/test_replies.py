"""A reply taken apart: thinking, memory and reason, as models really write them."""

import pytest

from agent.replies import memory, reason, thinking, without_thinking


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("click(3)", "click(3)", ""),
        ("<think>hm</think>\n\nclick(3)", "click(3)", "hm"),
        ("the template opened it\n</think>\nclick(3)", "click(3)", "the template opened it"),
        ("<think>a</think>b<think>c</think>d", "d", "abc"),
        ("<think>cut off", "", "cut off"),
        ("click(3) <think>late", "click(3) ", "late"),
    ],
)
def test_thinking_is_taken_away(text: str, said: str, thought: str) -> None:
    assert without_thinking(text) == said
    assert thinking(text) == thought


def test_the_last_memory_counts_up_to_the_next_field() -> None:
    assert memory("Memory: a\nAction: click(3)") == "a"
    assert memory("**Memory**: price 42\n- and more\nIntention: go\nclick(3)") == "price 42\n- and more"
    assert memory("Memory: a\nMemory: b\n<tool_call>{}</tool_call>") == "b"
    assert memory("Memory: a\nclick(3)") == "a"
    assert memory("Memory: a") == "a"
    assert memory("Memory:\nAction: click(3)") == ""
    assert memory("I remember: nothing\nclick(3)") is None
    assert len(memory("Memory: " + "x" * 9_000) or "") == 4_000


def test_the_reason_is_what_is_neither_memory_nor_action() -> None:
    assert reason("The form is open.\nMemory: a\nAction: click(3)") == "The form is open."
    assert reason("Intention: go on\n<tool_call>{}</tool_call>") == "go on"
    assert reason("click(3)") == ""
    assert len(reason("word " * 500 + "\nclick(3)")) <= 200
