"""Parts of a model's reply: its thinking, its memory, its reason. Pure functions of its text.

<think>...</think>            thinking: never repeated in a prompt
Memory: the price is 42 EUR   carried forward until the model writes another one
The form is open now.         the reason: shown with the step once its picture is left out
Action: click(3)              the action: for `agent.parsing`
"""

import re

THINK_END = "</think>"
MEMORY_LIMIT = 4_000
"""Largest number of characters of a memory that are carried forward."""
REASON_LIMIT = 200
"""Largest number of characters of a reason in the history."""

_MEMORY = re.compile(r"^[ \t>*#]*Memory[ \t*]*:[ \t*]*", re.IGNORECASE | re.MULTILINE)
_ACTION = re.compile(r"<tool_call>|```|^[ \t>*#]*Action[ \t*]*:", re.IGNORECASE | re.MULTILINE)
_NEXT_FIELD = re.compile(
    r"^[ \t>*#]*(?:Memory|Progress|Intention|Thought|Reason)[ \t*]*:", re.IGNORECASE | re.MULTILINE
)
_FIELD = re.compile(r"^[ \t>*#]*(?:Progress|Intention|Thought|Reason)[ \t*]*:[ \t*]*", re.IGNORECASE)


def without_thinking(text: str) -> str:
    """The reply after the last `</think>`; a reply that was cut off inside its thinking is empty.

    Chat templates may open the thinking themselves, so a reply may have only its end tag.
    """
    _, end, rest = text.rpartition(THINK_END)
    if end:
        return rest.lstrip("\n")
    return text.partition("<think>")[0]


def thinking(text: str) -> str:
    """The thinking in a reply, without the tags."""
    inside, end, _ = text.rpartition(THINK_END)
    if not end:
        inside = text.partition("<think>")[2]
    return inside.replace("<think>", "").replace(THINK_END, "").strip()


def memory(text: str) -> str | None:
    """The last `Memory:` of a reply without thinking, up to its next field or its action; None when it has none."""
    said = _before_action(text)
    starts = list(_MEMORY.finditer(said))
    if not starts:
        return None
    begin = starts[-1].end()
    end = _NEXT_FIELD.search(said, begin)
    return said[begin : end.start() if end else len(said)].strip()[:MEMORY_LIMIT]


def reason(text: str) -> str:
    """The model's reason on one line: its reply without thinking, memory and action."""
    said = _before_action(text)
    for start in reversed(list(_MEMORY.finditer(said))):
        end = _NEXT_FIELD.search(said, start.end())
        said = said[: start.start()] + (said[end.start() :] if end else "")
    lines = (_FIELD.sub("", line).strip() for line in said.splitlines())
    return " ".join(" ".join(lines).split())[:REASON_LIMIT]


def _before_action(text: str) -> str:
    """The reply up to its tool call, or without its last line, which is the action unless it is a field."""
    if found := _ACTION.search(text):
        return text[: found.start()]
    head, _, last = text.rstrip().rpartition("\n")
    return text if _MEMORY.match(last) or _FIELD.match(last) else head
