"""The forum's start state: members, categories, threads and posts, the same for every episode."""

import random
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

NAME = "Tinkerers"
ACTOR = "Robin"
"""The member who is signed in; a moderator."""
SESSION = "rlloopforumsession00000000000001"
THREADS = 420
CATEGORIES = ("Bicycles", "Gardening", "Cooking", "Woodwork", "Radios", "Cameras", "Sewing", "Clocks")
FIRST_CATEGORY = 4
"""Id of the first category in the database; the seed program checks the ids."""
FIRST = (
    *("Ada", "Bruno", "Carla", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines"),
    *("Jonas", "Kira", "Lars", "Mona", "Nils", "Olga", "Pavel", "Quinn", "Rosa"),
    *("Sven", "Tara", "Ugo", "Vera", "Wim", "Xenia", "Yuri", "Zoe"),
)
LAST = ("Ash", "Birch", "Cedar")
THINGS: dict[str, tuple[str, ...]] = {
    "Bicycles": ("rear hub", "brake cable", "chain", "saddle", "gear lever", "front fork", "dynamo"),
    "Gardening": ("tomato bed", "rain barrel", "apple tree", "hedge", "compost heap", "lawn", "greenhouse"),
    "Cooking": ("sourdough", "lentil soup", "cast-iron pan", "pie crust", "paella", "ginger jam", "pickles"),
    "Woodwork": ("oak table", "dovetail joint", "hand plane", "bookshelf", "varnish", "band saw", "stool"),
    "Radios": (
        "tube amplifier",
        "antenna",
        "tuning dial",
        "power supply",
        "loudspeaker",
        "headphone jack",
        "crystal set",
    ),
    "Cameras": ("shutter", "light meter", "lens mount", "darkroom", "tripod head", "film advance", "rangefinder"),
    "Sewing": ("bobbin", "linen shirt", "zip", "pattern paper", "button hole", "overlock", "wool coat"),
    "Clocks": ("pendulum", "mainspring", "cuckoo clock", "dial", "winding key", "alarm bell", "escapement"),
}
TITLES = (
    "How to repair the {thing}",
    "Noise from my {thing}",
    "A {thing} for beginners",
    "Is a used {thing} worth it",
    "My first {thing}, with pictures",
    "Cleaning the {thing}",
    "Which {thing} for a small flat",
    "Spare parts for a {thing}",
    "The {thing} that lasted ten years",
    "Storing a {thing} over the winter",
    "Measuring the {thing}",
    "Swap: {thing} against tools",
)
OPENINGS = ("Last week", "Since spring", "For years", "Every evening", "After the move", "On Sundays")
BODIES = (
    "I have looked at the {thing} and can't find the reason.",
    "my neighbour showed me how the {thing} is taken apart.",
    "the {thing} works again, with two drops of oil.",
    "I keep the {thing} in the shed, under a blanket.",
    "a new {thing} costs more than all my tools.",
    "the manual says nothing about the {thing}.",
)
ANSWERS = (
    "Thank you.",
    "Try it once more.",
    "That helped me, too.",
    "Take a photo first.",
    "I would wait.",
    "Good idea.",
)


class Thread(BaseModel):
    """A thread. Example: `Thread(number=17, title="Cleaning the chain", category="Bicycles", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    """Its id in the database."""
    title: str
    category: str
    starter: str
    posters: tuple[str, ...]
    """Authors of its posts in order, the starter first."""
    first_post: int
    """Id of its first post; those of the replies follow it."""
    is_closed: bool

    @property
    def replies(self) -> int:
        """Number of its replies."""
        return len(self.posters) - 1


class Forum(BaseModel):
    """The start state as the task templates see it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    members: tuple[str, ...]
    threads: tuple[Thread, ...]

    def member(self, name: str) -> int:
        """Id of a member in the database."""
        return self.members.index(name) + 1


def category_id(name: str) -> int:
    """Id of a category in the database."""
    return FIRST_CATEGORY + CATEGORIES.index(name)


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON: 79 members, 8 categories, 420 threads, about 2,700 posts."""
    rng = random.Random("forum 1")
    members = [ACTOR, *dict.fromkeys(f"{first}{last}" for first in FIRST for last in LAST)]
    pairs = [(title, name, thing) for title in TITLES for name in CATEGORIES for thing in THINGS[name]]
    rng.shuffle(pairs)
    threads = []
    for title, category, thing in pairs[:THREADS]:
        starter = rng.choice(members[1:])
        posts = [{"by": starter, "text": _text(rng, thing)}]
        posts += [{"by": rng.choice(members[1:]), "text": _text(rng, thing)} for _ in range(rng.randint(0, 11))]
        made = {"title": title.format(thing=thing), "category": category, "posts": posts}
        threads.append(made | {"is_closed": rng.random() < 0.1})
    return {
        "name": NAME,
        "session": SESSION,
        "members": members,
        "categories": list(CATEGORIES),
        "first_category": FIRST_CATEGORY,
        "threads": threads,
    }


@lru_cache(maxsize=1)
def forum() -> Forum:
    """The start state."""
    made = world()
    threads = []
    post = 1
    for number, one in enumerate(made["threads"], start=1):
        posters = tuple(written["by"] for written in one["posts"])
        threads.append(
            Thread(
                number=number,
                title=one["title"],
                category=one["category"],
                starter=posters[0],
                posters=posters,
                first_post=post,
                is_closed=one["is_closed"],
            )
        )
        post += len(posters)
    return Forum(members=tuple(made["members"]), threads=tuple(threads))


def _text(rng: random.Random, thing: str) -> str:
    parts = [f"{rng.choice(OPENINGS)} {rng.choice(BODIES).format(thing=thing)}" for _ in range(rng.randint(1, 3))]
    return " ".join([*parts, rng.choice(ANSWERS)])
