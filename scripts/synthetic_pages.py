"""Endless synthetic pages with one right action each: they teach a tiny model to read, as pre-training would.

A page is only its list of elements and an instruction; no browser is involved, and no page of a real task is copied.
"""

import random
import string
from collections.abc import Iterator, Sequence

from agent.config import AgentConfig
from agent.prompting.prompts import compose
from agent.prompting.wording import render
from agent.types import AgentAction
from browser_service.models import Box, ClickId, FillId, Mark, Observation, SelectOption, Viewport
from training.warm_start import Demonstration

NAMED = (
    'Click on the "{}" button.',
    'Click on the link "{}".',
    "Click button {}.",
    "Click on {}.",
    'Click the button labeled "{}".',
    'Find and click on "{}".',
    'Click on the folder or file named "{}".',
    'Press "{}".',
)
BY_ROLE = ('Click on a "{}" widget.', "Click a {}.")
WIDGETS = {"button": "button", "textbox": "text", "checkbox": "checkbox", "radio": "radio"}
CLICKABLE = ("button", "link", "generic", "tab", "menuitem")
CONFIG = AgentConfig(prompt="compact", screenshot=False, draw_marks=False, star_named=True)


def batches(words: Sequence[str], size: int, seed: int) -> Iterator[list[Demonstration]]:
    """Yields batches of demonstrations endlessly; equal seeds give equal batches."""
    rng = random.Random(seed)
    while True:
        yield [demonstration(words, rng) for _ in range(size)]


def demonstration(words: Sequence[str], rng: random.Random) -> Demonstration:
    """One page and the right action on it."""
    kind = rng.choices((_named, _by_role, _ordinal, _choose_and_submit, _enter_text, _choose_list), (8, 1, 1, 3, 2, 1))[
        0
    ]
    marks, goal, action = kind(words, rng)
    page = Observation(url="http://page/", title="", viewport=Viewport(width=160, height=210), marks=marks)
    return Demonstration(messages=compose(goal, [], page, CONFIG).messages, reply=render(action))


def _mark(id: int, role: str, name: str, value: str | None = None, checked: bool | None = None) -> Mark:
    return Mark(id=id, role=role, name=name, value=value, checked=checked, box=Box(x=0, y=0, width=1, height=1))


def _name(words: Sequence[str], rng: random.Random) -> str:
    if rng.random() < 0.15:
        return "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(2, 6)))
    word = rng.choice(words)
    shape = rng.random()
    if shape < 0.1:
        return f"{word} {rng.choice(words)}"
    if shape < 0.2:
        return f"{word} #{rng.randint(1, 9)}"
    return {0: word.upper(), 1: word.capitalize(), 2: word + ",", 3: word + "."}.get(rng.randrange(9), word)


def _names(count: int, words: Sequence[str], rng: random.Random) -> list[str]:
    if rng.random() < 0.15:  # names that differ only in a number
        word = rng.choice(words)
        return [f"{word} #{n}" for n in range(1, count + 1)]
    names: dict[str, None] = {}
    while len(names) < count:
        names[_name(words, rng)] = None
    return list(names)


def _named(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    names = _names(rng.randint(1, 6), words, rng)
    target = rng.randrange(len(names))
    marks: list[Mark] = []
    answer = 0
    for index, name in enumerate(names):
        while rng.random() < 0.2:
            marks.append(_mark(len(marks) + 1, "textbox", ""))
        marks.append(_mark(len(marks) + 1, rng.choice(CLICKABLE), name))
        answer = len(marks) if index == target else answer
    return marks, rng.choice(NAMED).format(names[target]), ClickId(id=answer)


def _by_role(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    role, word = rng.choice(list(WIDGETS.items()))
    others = [other for other in WIDGETS if other != role]
    roles = [role, *(rng.choice(others) for _ in range(rng.randint(1, 5)))]
    rng.shuffle(roles)
    marks = [_mark(n, r, _name(words, rng)) for n, r in enumerate(roles, 1)]
    return marks, rng.choice(BY_ROLE).format(word), ClickId(id=roles.index(role) + 1)


def _ordinal(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    count = rng.randint(1, 4)
    target = rng.randint(1, count)
    ordinal = {1: "1st", 2: "2nd", 3: "3rd"}.get(target, f"{target}th")
    marks = [_mark(n, "textbox", "") for n in range(1, count + 1)]
    return marks, f"Focus into the {ordinal} input textbox.", ClickId(id=target)


def _choose_and_submit(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    names = _names(rng.randint(2, 6), words, rng)
    role = rng.choice(("radio", "checkbox"))
    target = rng.randrange(len(names))
    done = rng.random() < 0.5
    marks = [_mark(n, role, name, checked=done and n - 1 == target) for n, name in enumerate(names, 1)]
    marks.append(_mark(len(marks) + 1, "button", "Submit"))
    action = ClickId(id=len(marks) if done else target + 1)
    return marks, f"Select {names[target]} and click Submit.", action


def _enter_text(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    text = rng.choice(words).capitalize()
    done = rng.random() < 0.5
    marks = [_mark(1, "textbox", "", value=text if done else None), _mark(2, "button", "Submit")]
    goal = f'Enter "{text}" into the text field and press Submit.'
    return marks, goal, ClickId(id=2) if done else FillId(id=1, value=text)


def _choose_list(words: Sequence[str], rng: random.Random) -> tuple[list[Mark], str, AgentAction]:
    chosen, other = rng.sample(list(words), 2)
    done = rng.random() < 0.5
    marks = [_mark(1, "combobox", "", value=chosen if done else other), _mark(2, "button", "Submit")]
    goal = f"Select {chosen} from the list and click Submit."
    return marks, goal, ClickId(id=2) if done else SelectOption(id=1, label=chosen)
