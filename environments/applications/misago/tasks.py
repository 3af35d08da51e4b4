"""The forum's task templates. Those of the held-out split ask for other things than those for training."""

import random
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from agent.types import AgentAction, Answer, Split
from browser_service.models import Observation, VisitPage
from environments.applications.misago.world import Forum, Thread
from environments.marks import find_named
from environments.tasks.answers import is_number, is_text
from environments.tasks.templates import Ending, Filled, Parameters, Template

NO_CHANGE = "Nothing was posted, changed or removed."
Choose = Callable[[random.Random, Forum], Thread]


def any_thread(rng: random.Random, forum: Forum) -> Thread:
    """A thread of the whole forum, which has to be found."""
    return rng.choice(forum.threads)


def recent_thread(rng: random.Random, forum: Forum) -> Thread:
    """A thread of the first page."""
    return rng.choice(forum.threads[-8:])


def discussed_thread(rng: random.Random, forum: Forum) -> Thread:
    """A thread with replies."""
    return rng.choice([thread for thread in forum.threads if thread.replies >= 2])


def by_starter(rng: random.Random, forum: Forum) -> Thread:
    """A thread whose starter has started no other one in its category."""
    pairs = [(thread.starter, thread.category) for thread in forum.threads]
    return rng.choice([thread for thread in forum.threads if pairs.count((thread.starter, thread.category)) == 1])


def question_about(
    choose: Choose, question: str, answer: Callable[[Thread], str]
) -> Callable[[random.Random, Forum], Filled]:
    """Fills a question about a thread with its answer."""

    def fill(rng: random.Random, forum: Forum) -> Filled:
        thread = choose(rng, forum)
        goal = question.format(title=thread.title, category=thread.category, starter=thread.starter)
        number = forum.threads.index(thread) + 1
        return Filled(goal, {"number": number, "title": thread.title, "answer": answer(thread)})

    return fill


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    return {"answer": is_number(end.answer, float(end.parameters["answer"])), "no_side_effects": end.changes.only()}


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": end.changes.only()}


def read_thread(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Opens the thread and answers."""
    address = urlsplit(observation.url)
    if address.path.startswith("/t/"):
        return Answer(text=parameters["answer"])
    return VisitPage(url=f"{address.scheme}://{address.netloc}/t/thread/{parameters['number']}/")


def read_list(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Answers from the list of threads, where the thread stands."""
    if find_named(observation, parameters["title"], "link"):
        return Answer(text=parameters["answer"])
    return read_thread(parameters, observation, step)


def made(
    name: str, split: Split, difficulty: int, fill: Callable[[random.Random, Forum], Filled], *, number: bool = False
) -> Template:
    """A template that asks for an answer."""
    return Template(
        name=name,
        split=split,
        difficulty=difficulty,
        max_steps=6 + 4 * difficulty,
        fill=fill,
        check=number_answered if number else text_answered,
        solve=read_list if difficulty == 1 else read_thread,
        rubric=("The answer is what the thread's page shows.", NO_CHANGE),
    )


TEMPLATES = (
    made(
        "tell-starter-of-recent",
        "train",
        1,
        question_about(
            recent_thread, 'Who started the thread "{title}"? Answer with the name.', lambda thread: thread.starter
        ),
    ),
    made(
        "tell-category-of-recent",
        "train",
        1,
        question_about(recent_thread, 'In which category is the thread "{title}"?', lambda thread: thread.category),
    ),
    made(
        "tell-starter",
        "train",
        2,
        question_about(
            any_thread, 'Who started the thread "{title}" in {category}? Answer with the name.', lambda t: t.starter
        ),
    ),
    made(
        "count-replies",
        "train",
        2,
        question_about(
            discussed_thread,
            'How many replies does the thread "{title}" in {category} have? Answer with the number.',
            lambda thread: str(thread.replies),
        ),
        number=True,
    ),
    made(
        "find-thread-of-starter",
        "train",
        3,
        question_about(
            by_starter,
            "{starter} started one thread in the category {category}. What is its title? Answer with the title only.",
            lambda thread: thread.title,
        ),
    ),
    made(
        "tell-category",
        "heldout",
        2,
        question_about(
            any_thread, 'In which category is the thread "{title}"? Search for it.', lambda thread: thread.category
        ),
    ),
    made(
        "count-replies-of-starter",
        "heldout",
        3,
        question_about(
            by_starter,
            "{starter} started one thread in the category {category}. How many replies does it have? "
            "Answer with the number.",
            lambda thread: str(thread.replies),
        ),
        number=True,
    ),
)
