"""The wiki's start state: articles with their histories, editors, protections and blocks, the same for every episode."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from environments.applications.mediawiki import words
from environments.applications.mediawiki.words import ARCHITECTS, EDITORS, FIRST, KINDS, TOWNS, Kind

NAME = "Aldshire Wiki"
ACTOR, ACTOR_ID = "Robin", 1
"""The user who is signed in: an administrator."""
TOKEN = "rlloopwikitoken0000000000000001a"
"""Value of the cookie that signs the user in, as in the user's row."""
FIRST_EDITOR = 3
"""Id of the first editor in the database, after the user and the installer's own; the seed program checks all ids."""
FIRST_REVISION = 2
"""Id of the first edit; the installer has made one revision."""
BEGIN = datetime(2023, 1, 9, 8, 0, tzinfo=UTC)
STEP_MINUTES = 240
FEATURED, TALKS, OLD_NAMES, PROTECTED, BLOCKED, DELETED, WATCHED = 8, 60, 40, 12, 8, 8, 14


class Edit(NamedTuple):
    """A revision. Example: `Edit(when=0.3, title="Alder Mill", user="AdaMoor", summary="Typo", text="The ...")`."""

    when: float
    """Place in the order of all edits."""
    title: str
    user: str
    summary: str
    text: str


class Article(BaseModel):
    """An article about a building, with its history."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    page: int = 0
    """Id of its page in the database."""
    revision: int = 0
    """Id of its latest revision."""
    title: str
    kind: str
    """Its category."""
    town: str
    architect: str
    opened: int
    size: int
    texts: tuple[str, ...]
    """Wikitext of its revisions, the oldest first."""
    users: tuple[str, ...]
    """Authors of its revisions; none follows itself."""
    summaries: tuple[str, ...]

    @property
    def text(self) -> str:
        """The current wikitext."""
        return self.texts[-1]


class Wiki(BaseModel):
    """The start state as the task templates see it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    articles: tuple[Article, ...]
    """Those that nobody has protected, without the featured ones."""
    featured: tuple[Article, ...]
    """Articles that the main page links to."""
    protected: tuple[Article, ...]
    pages: dict[str, int]
    """Page ids by title, deleted pages included."""
    texts: dict[str, str]
    """The current wikitext of all pages."""
    redirects: dict[str, str]
    """Titles of redirects, and of the articles that they lead to."""
    talked: tuple[str, ...]
    """Titles of articles that have a talk page."""
    watched: tuple[str, ...]
    blocked: tuple[str, ...]
    deleted: tuple[str, ...]


def user_id(name: str) -> int:
    """Id of a user in the database, which is also its actor's."""
    return ACTOR_ID if name == ACTOR else FIRST_EDITOR + EDITORS.index(name)


@lru_cache(maxsize=1)
def wiki() -> Wiki:
    """The start state: 320 articles and 181 other pages."""
    return _made()[0]


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON."""
    start, edits = _made()
    rows = []
    for number, edit in enumerate(edits):
        time = BEGIN + timedelta(minutes=STEP_MINUTES * number + (number * 7_919) % STEP_MINUTES)
        row = {"title": edit.title, "user": edit.user, "summary": edit.summary, "text": edit.text}
        rows.append(row | {"time": f"{time:%Y%m%d%H%M%S}", "page": start.pages[edit.title]})
    return {
        "actor": ACTOR,
        "token": TOKEN,
        "editors": list(EDITORS),
        "first_editor": FIRST_EDITOR,
        "edits": rows,
        "protected": [article.title for article in start.protected],
        "blocked": list(start.blocked),
        "deleted": list(start.deleted),
        "watched": list(start.watched),
        "end": f"{BEGIN + timedelta(minutes=STEP_MINUTES * (len(rows) + 1)):%Y%m%d%H%M%S}",
    }


@lru_cache(maxsize=1)
def _made() -> tuple[Wiki, list[Edit]]:
    rng = random.Random("wiki 1")
    edits: list[Edit] = []
    articles = [article for kind in KINDS for article in _articles(rng, kind, edits)]
    rng.shuffle(articles)
    featured, protected = articles[:FEATURED], articles[FEATURED : FEATURED + PROTECTED]
    others = articles[FEATURED + PROTECTED :]
    redirects = {f"Old {article.title}": article.title for article in rng.sample(others, OLD_NAMES)}
    deleted = tuple(f"{first} Quarry" for first in rng.sample(FIRST, DELETED))
    talked = tuple(article.title for article in rng.sample(others, TALKS))
    edits += _other_pages(rng, articles, featured)
    edits += [_edit(rng, 0.9, title, "Old name", f"#REDIRECT [[{target}]]") for title, target in redirects.items()]
    for title in deleted:
        text = f"The '''{title}''' was a quarry."
        edits.append(_edit(rng, 0.5, title, "New article", text))
        edits.append(
            _edit(rng, 0.7, title, rng.choice(words.SMALL), f"{text} It was closed in {rng.randrange(1_870, 1_960)}.")
        )
    for title in talked:
        topics = [
            f"== {topic} ==\n{rng.choice(words.TALK)}" for topic in rng.sample(words.QUESTIONS, rng.randint(1, 3))
        ]
        edits += [
            _edit(rng, 0.9 + place / 1_000, f"Talk:{title}", "A question", "\n\n".join(topics[: place + 1]))
            for place in range(len(topics))
        ]
    edits.sort()
    pages: dict[str, int] = {"Main Page": 1}
    for edit in edits:
        pages.setdefault(edit.title, len(pages) + 1)
    latest = {edit.title: number for number, edit in enumerate(edits, start=FIRST_REVISION)}
    numbered = {
        article.title: article.model_copy(update={"page": pages[article.title], "revision": latest[article.title]})
        for article in articles
    }
    start = Wiki(
        articles=tuple(numbered[article.title] for article in others),
        featured=tuple(numbered[article.title] for article in featured),
        protected=tuple(numbered[article.title] for article in protected),
        pages=pages,
        texts={edit.title: edit.text for edit in edits if edit.title not in deleted},
        redirects=redirects,
        talked=talked,
        watched=tuple(article.title for article in rng.sample(others, WATCHED)),
        blocked=tuple(rng.sample(EDITORS, BLOCKED)),
        deleted=deleted,
    )
    return start, edits


def _edit(rng: random.Random, when: float, title: str, summary: str, text: str) -> Edit:
    return Edit(when + rng.random() / 100_000, title, rng.choice(EDITORS), summary, text)


def _articles(rng: random.Random, kind: Kind, edits: list[Edit]) -> list[Article]:
    """The articles of a kind; no two have the same size or year."""
    years, sizes = rng.sample(range(1_740, 1_960), len(FIRST)), rng.sample(kind.sizes, len(FIRST))
    titles = [f"{first} {kind.suffix}" for first in FIRST]
    made = []
    for title, year, size in zip(titles, years, sizes, strict=True):
        town, architect = rng.choice(TOWNS), rng.choice(ARCHITECTS)
        parts = {
            "lead": f"The '''{title}''' is a {kind.noun} in [[{town}]]. It was opened in {year} and designed by [[{architect}]].",
            "end": f"[[Category:{kind.category}]]\n[[Category:{town}]]",
        }
        history = _history(rng, kind, parts, year, size, [other for other in titles if other != title])
        when, users = rng.uniform(0.02, 0.6), _users(rng, len(history))
        for (summary, text), user in zip(history, users, strict=True):
            edits.append(Edit(when, title, user, summary, text))
            when += rng.uniform(0.000_1, 0.03)
        made.append(
            Article(
                title=title,
                kind=kind.category,
                town=town,
                architect=architect,
                opened=year,
                size=size,
                texts=tuple(text for _, text in history),
                users=tuple(users),
                summaries=tuple(summary for summary, _ in history),
            )
        )
    return made


def _users(rng: random.Random, count: int) -> list[str]:
    """Authors of an article's revisions; none has two in a row."""
    found: list[str] = []
    while len(found) < count:
        if (user := rng.choice(EDITORS)) not in found[-1:]:
            found.append(user)
    return found


def _history(
    rng: random.Random, kind: Kind, parts: dict[str, str], year: int, size: int, others: Sequence[str]
) -> list[tuple[str, str]]:
    """Summary and wikitext of each revision; no summary comes twice, and no text."""
    found = [("New article", _wikitext(parts))]
    for part in rng.sample(list(words.GROWTH), len(words.GROWTH)):
        parts[part] = _part(rng, part, kind, year, size, others)
        found.append((rng.choice(words.GROWTH[part]), _wikitext(parts)))
    for summary in rng.sample(words.SMALL, rng.randint(0, 5)):
        while (text := _wikitext(parts)) in [text for _, text in found]:
            part = rng.choice(("history", "description"))
            parts[part] = _part(rng, part, kind, year, size, others)
        found.append((summary, text))
    return found


def _part(rng: random.Random, part: str, kind: Kind, year: int, size: int, others: Sequence[str]) -> str:
    if part == "see":
        return "\n".join(f"* [[{title}]]" for title in rng.sample(others, 3))
    if part == "history":
        event = rng.choice(words.EVENTS).format(year=rng.randrange(1_961, 2_015))
        return f"Building began in {year - rng.randint(1, 6)}. The {kind.noun} {event}."
    looks = f"It is made of {rng.choice(words.STONES)} and painted {rng.choice(words.COLOURS)}."
    return f"The {kind.noun} {kind.sentence.format(size=size)}. {looks} {rng.choice(words.REMARKS)}"


def _wikitext(parts: dict[str, str]) -> str:
    sections = [f"== {words.HEADINGS[name]} ==\n{parts[name]}" for name in words.HEADINGS if name in parts]
    return "\n\n".join([parts["lead"], *sections, parts["end"]])


def _other_pages(rng: random.Random, articles: Sequence[Article], featured: Sequence[Article]) -> list[Edit]:
    """Towns, architects, lists, categories, user pages and the main page."""
    made = []
    for town in TOWNS:
        text = (
            f"'''{town}''' is a town of Aldshire with {rng.randrange(900, 40_000)} inhabitants.\n\n[[Category:Towns]]"
        )
        made.append((0.01, town, "New article", text))
        made.append((0.01, f"Category:{town}", "New category", f"Buildings in [[{town}]]."))
    for name in ARCHITECTS:
        born = rng.randrange(1_720, 1_900)
        text = f"'''{name}''' ({born}-{born + rng.randrange(40, 90)}) was an architect of Aldshire.\n\n[[Category:Architects]]"
        made.append((0.01, name, "New article", text))
    for kind in KINDS:
        made.append((0.01, f"Category:{kind.category}", "New category", f"Each {kind.noun} of Aldshire."))
        made.append((0.99, list_of(kind.category), "New list", _table(kind, articles)))
    made += [(0.4, f"User:{name}", "About me", f"I write about {rng.choice(TOWNS)}.") for name in EDITORS[::2]]
    lines = [f"* [[{article.title}]]" for article in featured]
    lists = [f"* [[{list_of(kind.category)}]]" for kind in KINDS]
    welcome = f"Welcome to the '''{NAME}''', the encyclopedia of the county's buildings."
    text = "\n".join([welcome, "\n== Featured articles ==", *lines, "\n== Lists ==", *lists])
    made.append((0.0, "Main Page", "Welcome", text))
    return [_edit(rng, *one) for one in made]


def list_of(category: str) -> str:
    """Title of the list of a category's articles."""
    return f"List of {category.lower()}"


def _table(kind: Kind, articles: Sequence[Article]) -> str:
    rows = [
        f"|-\n| [[{article.title}]] || {article.town} || {article.opened} || {article.size}"
        for article in sorted(articles, key=lambda article: article.title)
        if article.kind == kind.category
    ]
    head = f'{{| class="wikitable sortable"\n! Name !! Town !! Opened !! {kind.label.capitalize()}'
    return "\n".join([head, *rows, "|}"])
