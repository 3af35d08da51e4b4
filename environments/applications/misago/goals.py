"""Goals of the forum's tasks: each draws a thread or a member, and what is to be done with it."""

import random
from collections.abc import Callable

from environments.applications.misago.world import CATEGORIES, Forum, Thread, category_id
from environments.tasks.templates import Fill, Filled, Parameters

Choose = Callable[[random.Random, Forum], Thread]
More = Callable[[random.Random, Forum, Thread], Parameters]
RECENT = 8
"""Threads that the first page shows without scrolling, about."""
BEGINNINGS = (
    *("I had the same last month.", "Many thanks for the long report.", "This belongs into the first post."),
    *("My grandfather did it the other way round.", "Please tell us how it went.", "There is a meeting on Saturday."),
    *("I would not do that without gloves.", "A drawing would help a lot."),
)
ENDINGS = (
    *("Ask again in spring.", "The shop near the station has it.", "Keep the old parts.", "It took me two evenings."),
    *("Nobody else noticed.", "Mine is from 1974.", "Write to me if you need one.", "It is worth the wait."),
)
SUBJECTS = (
    *("Meeting on the fourth of May", "Borrowing the long ladder", "Lost and found at the workshop"),
    *("New opening hours", "Who has a spare key", "Tools for the summer course", "Photos of the open day"),
)
PLACES = ("Utrecht", "Porto", "Tartu", "Graz", "Bergen", "Ghent", "Turku", "Lyon", "Trieste", "Cork")
NAMES = ("Robin Vale", "Robin Amsel", "Robin Tamm", "Robin Castro", "Robin Lund", "Robin Okafor", "Robin Weiss")
QUESTIONS = ("Which day suits you?", "Shall we order together?", "Who comes to the meeting?", "What is it worth?")
CHOICES = (("Saturday", "Sunday"), ("Yes", "No"), ("In May", "In June"), ("I do", "I don't"))


def recent(rng: random.Random, forum: Forum) -> Thread:
    """An open thread of the first page."""
    return rng.choice([thread for thread in forum.threads[-RECENT:] if not thread.is_closed])


def open_thread(rng: random.Random, forum: Forum) -> Thread:
    """Any open thread, which has to be found."""
    return rng.choice([thread for thread in forum.threads if not thread.is_closed])


def any_thread(rng: random.Random, forum: Forum) -> Thread:
    """Any thread, which has to be found."""
    return rng.choice(forum.threads)


def discussed(rng: random.Random, forum: Forum) -> Thread:
    """A thread with replies."""
    return rng.choice([thread for thread in forum.threads if thread.replies >= 2])


def closed_thread(rng: random.Random, forum: Forum) -> Thread:
    """Any closed thread."""
    return rng.choice([thread for thread in forum.threads if thread.is_closed])


def lone_of_starter(rng: random.Random, forum: Forum) -> Thread:
    """An open thread whose starter has started no other one in its category."""
    pairs = [(thread.starter, thread.category) for thread in forum.threads]
    lone = [thread for thread in forum.threads if pairs.count((thread.starter, thread.category)) == 1]
    return rng.choice([thread for thread in lone if not thread.is_closed])


def with_lone_reply(rng: random.Random, forum: Forum) -> Thread:
    """An open thread of one page in which some member has written exactly one post, a reply."""
    return rng.choice([thread for thread in forum.threads if not thread.is_closed and lone_replies(thread)])


def lone_replies(thread: Thread) -> list[int]:
    """Places, from 1, of the replies whose poster has no other post in the thread."""
    return [place for place, name in enumerate(thread.posters) if place and thread.posters.count(name) == 1]


def nothing(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """No further parameters."""
    return {"post": thread.first_post}


def a_text(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """A text for a post."""
    return {"post": thread.first_post, "text": f"{rng.choice(BEGINNINGS)} {rng.choice(ENDINGS)}"}


def a_title(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """Another title."""
    return {"new_title": f"{rng.choice(SUBJECTS)}, {rng.choice(PLACES)}"}


def another_category(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """A category that the thread is not in."""
    name = rng.choice([name for name in CATEGORIES if name != thread.category])
    return {"new_category": name, "new_category_id": category_id(name), "posts": len(thread.posters)}


def a_lone_reply(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """A reply that its poster's name tells."""
    place = rng.choice(lone_replies(thread))
    return {"post": thread.first_post + place, "poster": thread.posters[place]}


def a_poll(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """A question with two choices."""
    first, second = rng.choice(CHOICES)
    return {"question": rng.choice(QUESTIONS), "choices": [first, second], "first": first, "second": second}


def on_site(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """Notified on the site only."""
    return {"send_emails": False}


def with_email(rng: random.Random, forum: Forum, thread: Thread) -> Parameters:
    """Notified by e-mail, too."""
    return {"send_emails": True}


def the_answer(answer: Callable[[Thread], str]) -> More:
    """The answer to a question about the thread."""
    return lambda rng, forum, thread: {"answer": answer(thread)}


def about(choose: Choose, goal: str, more: More = nothing) -> Fill:
    """Fills a goal about a thread that is chosen from the start state."""

    def fill(rng: random.Random, forum: Forum) -> Filled:
        thread = choose(rng, forum)
        parameters: Parameters = {
            "number": thread.number,
            "title": thread.title,
            "category": thread.category,
            "category_id": category_id(thread.category),
            "starter": thread.starter,
            "first_post": thread.first_post,
        }
        parameters |= more(rng, forum, thread)
        return Filled(goal.format(**parameters), parameters)

    return fill


def new_thread(goal: str, *, is_closed: bool = False) -> Fill:
    """Fills a goal about a thread that is to be started."""

    def fill(rng: random.Random, forum: Forum) -> Filled:
        category = rng.choice(CATEGORIES)
        parameters: Parameters = {
            "category": category,
            "category_id": category_id(category),
            "title": f"{rng.choice(SUBJECTS)}, {rng.choice(PLACES)}",
            "text": f"{rng.choice(BEGINNINGS)} {rng.choice(ENDINGS)}",
            "is_closed": is_closed,
        }
        return Filled(goal.format(**parameters), parameters)

    return fill


def member(rng: random.Random, forum: Forum) -> Filled:
    """Another member."""
    name = rng.choice(forum.members[1:])
    return Filled(f"Follow the member {name}.", {"member": forum.member(name), "name": name, "slug": name.lower()})


def profile(column: str, label: str, values: tuple[str, ...]) -> Fill:
    """A field of the own profile."""

    def fill(rng: random.Random, forum: Forum) -> Filled:
        text = rng.choice(values)
        goal = f'Fill in your profile: set the field "{label}" to "{text}" and leave the other fields empty.'
        return Filled(goal, {"column": column, "label": label, "text": text})

    return fill


def hidden_presence(rng: random.Random, forum: Forum) -> Filled:
    """The one option that hides when the member is online."""
    goal = "In your forum options, hide your presence from other users; change no other option."
    return Filled(goal, {"column": "is_hiding_presence", "value": True})
