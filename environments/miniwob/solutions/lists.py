"""Families that are solved by choosing among radio buttons, checkboxes or options."""

from browser_service.models import Action, Observation, SelectOption
from environments.marks import click, marks, named, nth
from environments.miniwob.solutions.page import said, submit


def option_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Select S4 and click Submit.`"""
    radio = named(observation, said(goal, r"Select (.+) and click"), "radio")
    return submit(observation) if radio.checked else click(radio)


def checkboxes_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Select C0ZWRz, vrD and click Submit.`, or `Select nothing and click Submit.`"""
    wanted = said(goal, r"Select (.+) and click")
    names = [] if wanted == "nothing" else wanted.split(", ")
    boxes = [named(observation, name, "checkbox") for name in names]
    unchecked = next((box for box in boxes if not box.checked), None)
    return click(unchecked) if unchecked else submit(observation)


def dropdown_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Select Nigeria from the list and click Submit.`"""
    wanted = said(goal, r"Select (.+) from the list")
    dropdown = nth(observation, 0, "combobox", "listbox")
    return submit(observation) if dropdown.value == wanted else SelectOption(id=dropdown.id, label=wanted)


def greatest_card_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Find and pick the card with the greatest number, then press submit.` The list does not show the picked card."""
    cards = [mark for mark in marks(observation) if mark.name.isdigit()]
    return click(max(cards, key=lambda mark: int(mark.name))) if step == 0 and cards else submit(observation)
