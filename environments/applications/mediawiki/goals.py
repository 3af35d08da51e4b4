"""Goals of the wiki's tasks: each draws an article, a page or an editor, and what is to be done with it."""

import random
from collections.abc import Callable, Sequence

from environments.applications.mediawiki import words
from environments.applications.mediawiki.wikitext import sections, with_category, with_section
from environments.applications.mediawiki.words import EDITORS, KINDS, TOWNS
from environments.applications.mediawiki.world import Article, Wiki
from environments.tasks.templates import Fill, Filled, Parameters

NEW = ("Abbot", "Castle", "Chapel", "Harbour", "Quay", "Rectory", "Spring", "Tower", "Weir", "Winter")
THINGS = ("Fountain", "Market Hall", "Clock Tower", "Tollhouse", "Ice House", "Town Wall", "Windpump", "Bandstand")
CATEGORIES = ("Listed buildings", "Closed on Mondays", "Buildings with a plaque", "Reopened buildings", "Places to see")
SUBJECTS = (
    "A question",
    "New photographs",
    "Meeting in May",
    "The register",
    "Thank you",
    "One more source",
    "Spelling",
)
TEXTS = (
    *("The archive opens again on the third of June.", "I have a drawing of it from 1911.", "Please look at the map."),
    *(
        "The library has three letters about it.",
        "We meet at the town hall at six.",
        "The date on the plaque is right.",
    ),
    *("My grandmother worked there until 1958.", "A new survey has begun this week."),
)
REASONS = (
    "is in the county's inventory",
    "was measured again last year",
    "has a new roof since 2019",
    "is looked after by volunteers",
)
REAL_NAMES = ("Robin Vale", "Robin Amsel", "Robin Tamm", "Robin Castro", "Robin Lund", "Robin Okafor", "Robin Weiss")
EXPIRIES = ("1 day", "3 days", "1 week", "2 weeks", "1 month", "3 months", "6 months", "1 year")
Choose = Callable[[random.Random, Wiki], Article]
More = Callable[[random.Random, Wiki, Article], Parameters]


def featured(rng: random.Random, wiki: Wiki) -> Article:
    """An article that the main page links to."""
    return rng.choice(wiki.featured)


def any_article(rng: random.Random, wiki: Wiki) -> Article:
    """Any article, which has to be found."""
    return rng.choice(wiki.articles)


def plain(rng: random.Random, wiki: Wiki) -> Article:
    """An article without a discussion page, redirect or watcher."""
    busy = {*wiki.talked, *wiki.redirects.values(), *wiki.watched}
    return rng.choice([article for article in wiki.articles if article.title not in busy])


def discussed(rng: random.Random, wiki: Wiki) -> Article:
    """An article with a discussion page."""
    return rng.choice([article for article in wiki.articles if article.title in wiki.talked])


def watched(rng: random.Random, wiki: Wiki) -> Article:
    """An article on the watchlist."""
    return rng.choice([article for article in wiki.articles if article.title in wiki.watched])


def protected(rng: random.Random, wiki: Wiki) -> Article:
    """A protected article."""
    return rng.choice(wiki.protected)


def unwatched(rng: random.Random, wiki: Wiki) -> Article:
    """An article that is not on the watchlist."""
    return rng.choice([article for article in wiki.articles if article.title not in wiki.watched])


def about(choose: Choose, goal: str, *more: More) -> Fill:
    """Fills a goal about an article that is chosen from the start state."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        article = choose(rng, wiki)
        parameters = of_article(article)
        for each in more:
            parameters |= each(rng, wiki, article)
        return Filled(goal.format(**parameters), parameters)

    return fill


def of_article(article: Article) -> Parameters:
    """Parameters about an article."""
    return {"title": article.title, "page": article.page, "path": path_of(article.title)}


def path_of(title: str) -> str:
    """Title of a page as addresses and tables have it."""
    return title.replace(" ", "_")


def the_answer(answer: Callable[[Article], str]) -> More:
    """The answer to a question about the article."""
    return lambda rng, wiki, article: {"answer": answer(article)}


def a_summary(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """One of the edits, by its summary, which no other edit of the article has."""
    place = rng.randrange(1, len(article.users))
    return {"summary": article.summaries[place], "answer": article.users[place]}


def a_section(name: str) -> More:
    """Another text for a section of the article."""

    def draw(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
        heading = words.HEADINGS[name]
        number = list(words.HEADINGS).index(name) + 1
        text = f"{article.title} {rng.choice(REASONS)}. {rng.choice(TEXTS)}"
        return {"heading": heading, "section": number, "text": text, "texts": with_section(article.text, heading, text)}

    return draw


def a_category(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """A category that the article is not in."""
    name = rng.choice(CATEGORIES)
    last = sections(article.text)[-1]
    return {"category": name, "texts": with_category(article.text, name), "edited": f"{last}\n[[Category:{name}]]"}


def a_new_title(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """A title that no page has."""
    title = f"{rng.choice(NEW)} {article.title.partition(' ')[2]}"
    return {"new_title": title, "new_path": path_of(title)}


def the_previous_text(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """The text before the last edit."""
    return {"user": article.users[-1], "texts": [article.texts[-2]], "undone": [article.revision]}


def a_topic(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """A topic for the article's discussion page."""
    title = f"Talk:{article.title}"
    return topic(rng, title) | {"talk_page": wiki.pages.get(title, 0), "old": wiki.texts.get(title, "")}


def topic(rng: random.Random, title: str) -> Parameters:
    """A subject and a text."""
    return {"subject": rng.choice(SUBJECTS), "text": rng.choice(TEXTS), "talk": path_of(title)}


def a_message_to_creator(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """A message for the editor who wrote the first version of the article."""
    return topic(rng, f"User talk:{article.users[0]}") | {"user": article.users[0]}


def links(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """How many pages link to the article."""
    found = [title for title, text in wiki.texts.items() if f"[[{article.title}]]" in text]
    return {"answer": str(len(found))}


def a_second_name(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """A title that is to lead to the article."""
    title = f"{rng.choice(NEW)} {rng.choice(THINGS)}"
    return {"new_title": title, "new_path": path_of(title), "texts": redirect_to(article.title)}


def redirect_to(title: str) -> list[str]:
    """The texts of a page that leads to another one."""
    return [f"#REDIRECT [[{title}]]", f"#REDIRECT[[{title}]]", f"#redirect [[{title}]]"]


def old_name(goal: str) -> Fill:
    """A redirect, which is to lead to another article."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        title = rng.choice(sorted(wiki.redirects))
        target = rng.choice([article.title for article in wiki.articles if article.title != wiki.redirects[title]])
        parameters: Parameters = {"title": title, "path": path_of(title), "page": wiki.pages[title]}
        parameters |= {"target": target, "texts": redirect_to(target)}
        return Filled(goal.format(**parameters), parameters)

    return fill


def new_article(goal: str) -> Fill:
    """An article that does not exist."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        town, thing = rng.choice(TOWNS), rng.choice(THINGS)
        title = f"{town} {thing}"
        text = f"The {title} was built in {rng.randrange(1_750, 1_950)}. It {rng.choice(REASONS)}."
        parameters: Parameters = {"new_title": title, "new_path": path_of(title), "text": text, "texts": [text]}
        return Filled(goal.format(**parameters), parameters)

    return fill


def own_page(goal: str) -> Fill:
    """The page of the user who is signed in, which does not exist."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        text = f"I live in {rng.choice(TOWNS)} and write about its {rng.choice(KINDS).category.lower()}. {rng.choice(TEXTS)}"
        parameters: Parameters = {"new_path": "Robin", "text": text, "texts": [text]}
        return Filled(goal.format(**parameters), parameters)

    return fill


def an_editor(goal: str, choose: Callable[[Wiki], Sequence[str]], **choices: Sequence[str]) -> Fill:
    """An editor, and one of each further choice."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        name = rng.choice(choose(wiki))
        parameters: Parameters = {"user": name} | {key: rng.choice(values) for key, values in choices.items()}
        return Filled(goal.format(**parameters), parameters)

    return fill


def unblocked(wiki: Wiki) -> list[str]:
    """Editors who may edit."""
    return [name for name in EDITORS if name not in wiki.blocked]


def blocked(wiki: Wiki) -> Sequence[str]:
    """Editors who may not."""
    return wiki.blocked


def deleted(goal: str) -> Fill:
    """A page that was deleted."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        title = rng.choice(wiki.deleted)
        parameters: Parameters = {"title": title, "path": path_of(title), "page": wiki.pages[title], "revisions": 2}
        return Filled(goal.format(**parameters), parameters)

    return fill


def real_name(goal: str) -> Fill:
    """A value of the one field in the own profile."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        parameters: Parameters = {"text": rng.choice(REAL_NAMES)}
        return Filled(goal.format(**parameters), parameters)

    return fill
