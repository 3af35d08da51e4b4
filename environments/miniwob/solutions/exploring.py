"""Families where an element must be opened before the target can be clicked."""

from browser_service.models import Action, Observation
from environments.marks import click, find_named, marks, nth
from environments.miniwob.solutions.page import quoted_words, submit


def expand_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Expand the section below and click submit.`"""
    return click(nth(observation, 0, "tab")) if step == 0 else submit(observation)


def link_behind_tabs(goal: str, observation: Observation, step: int) -> Action:
    """`Switch between the tabs to find and click on the link "tempus".` Opens the tabs in turn, the first one last."""
    link = find_named(observation, quoted_words(goal)[0])
    if link is not None:
        return click(link)
    tabs = len(marks(observation, "tab"))
    return click(nth(observation, (step + 1) % max(1, tabs), "tab"))


def name_in_tree(goal: str, observation: Observation, step: int) -> Action:
    """`Find and click on the folder or file named "Livia".` Opens each folder from top to bottom by its handle."""
    found = [mark for mark in marks(observation) if mark.name == quoted_words(goal)[0]]
    if found:
        return click(found[-1])  # the innermost of an entry and its label
    handles = [mark for mark in marks(observation) if not mark.name]
    return click(nth(observation.model_copy(update={"marks": handles}), step))
