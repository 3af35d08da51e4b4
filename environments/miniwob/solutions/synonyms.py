"""The families of words with the same meaning: check the boxes of words that are similar to those of the instruction."""

from browser_service.models import Action, Observation
from environments.base import Unsolvable
from environments.marks import click, marks
from environments.miniwob.solutions.page import said, submit

GROUPS = (
    "big large huge enormous gigantic",
    "small tiny little mini petite",
    "red scarlet crimson vermillion",
    "happy cheerful joyful gleeful delighted",
    "sad unhappy sorrowful miserable tragic",
    "angry mad furious irritated",
    "evil wicked immoral sinful corrupt depraved",
    "wrong incorrect mistaken erroneous",
    "real genuine actual",
    "strange odd peculiar unusual weird",
    "stop cease halt end finish",
    "scared terrified panicked fearful frightened afraid",
    "quiet calm peaceful serene mild",
    "old aged archaic",
    "love like adore favor",
    "kill murder assassinate",
    "keep retain preserve sustain maintain",
    "hide conceal camouflage",
    "hate despise loathe detest dislike",
    "funny humorous amusing comical laughable",
    "fat fleshy plump chubby",
    "stupid dumb dull unwise",
    "delicious savory delectable appetizing",
    "cut slice carve chop",
    "brave courageous fearless",
    "begin start initiate launch",
    "answer reply response",
    "television televisions TV TVs",
    "house home houses homes",
    "fire flame fires flames",
    "pig pork swine pig",
    "rabbit rabbits bunny bunnies",
    "car cars automobile automobiles vehicle vehicles",
    "water",
)
"""All words of the family click-checkboxes-soft, one group a line."""


def similar_words(goal: str, observation: Observation, step: int) -> Action:
    """`Select words similar to unhappy, happy and click Submit.`"""
    words = said(goal, r"similar to (.+) and click").split(", ")
    groups = [group.split() for group in GROUPS]
    wanted = {other for group in groups if not set(words).isdisjoint(group) for other in group}
    boxes = [mark for mark in marks(observation, "checkbox") if mark.name in wanted]
    if len(boxes) < len(words):
        raise Unsolvable(f"Expected a box for each of {words}, found {[box.name for box in boxes]}.")
    unchecked = next((box for box in boxes if not box.checked), None)
    return click(unchecked) if unchecked else submit(observation)
