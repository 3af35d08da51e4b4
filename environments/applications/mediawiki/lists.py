"""Goals about the lists of the wiki: the buildings of a kind in a town, the largest and the oldest of them."""

import random
from collections.abc import Callable

from environments.applications.mediawiki.goals import path_of
from environments.applications.mediawiki.words import KINDS, TOWNS, Kind
from environments.applications.mediawiki.world import Article, Wiki, list_of
from environments.tasks.templates import Fill, Filled, Parameters


def group(rng: random.Random, wiki: Wiki) -> tuple[Kind, str, list[Article]]:
    """The articles of a kind in a town; at least two."""
    every = (*wiki.articles, *wiki.featured, *wiki.protected)
    while True:
        kind, town = rng.choice(KINDS), rng.choice(TOWNS)
        found = [article for article in every if (article.kind, article.town) == (kind.category, town)]
        if len(found) >= 2:
            return kind, town, found


def in_list(goal: str, answer: Callable[[list[Article]], str]) -> Fill:
    """A question about the articles of a kind in a town."""

    def fill(rng: random.Random, wiki: Wiki) -> Filled:
        kind, town, found = group(rng, wiki)
        parameters: Parameters = {"town": town, "list": list_of(kind.category), "path": path_of(list_of(kind.category))}
        parameters |= {"most": kind.most, "noun": kind.noun, "nouns": kind.category.lower(), "answer": answer(found)}
        return Filled(goal.format(**parameters), parameters)

    return fill


def largest(found: list[Article]) -> str:
    """Title of the one with the largest size."""
    return max(found, key=lambda article: article.size).title


def oldest_of_town(rng: random.Random, wiki: Wiki) -> Article:
    """The article, neither protected nor featured, about the oldest building of its kind in its town."""
    while True:
        _, _, found = group(rng, wiki)
        oldest = min(found, key=lambda article: article.opened)
        if oldest in wiki.articles:
            return oldest


def the_kind(rng: random.Random, wiki: Wiki, article: Article) -> Parameters:
    """Kind and town of the article, and the list that it is in."""
    kind = next(kind for kind in KINDS if kind.category == article.kind)
    return {"noun": kind.noun, "town": article.town, "list": list_of(article.kind)}


def oldest(found: list[Article]) -> str:
    """Title of the one that was opened first."""
    return min(found, key=lambda article: article.opened).title
