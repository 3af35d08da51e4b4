"""Rows that follow from an edit or from an administrator's action: records, links, counters."""

from collections.abc import Callable, Collection, Mapping

from environments.applications.hosted.rows import Row, Rows
from environments.applications.mediawiki.wikitext import linked
from environments.applications.mediawiki.world import ACTOR_ID

ACTOR = ACTOR_ID
LINKS = {
    "pagelinks": ("pl_from", "pl_title"),
    "categorylinks": ("cl_from", "cl_to"),
    "redirect": ("rd_from", "rd_title"),
}
"""Tables of the links in a page's text, with the columns of the page and of the link's target."""
COUNTERS = (
    *(f"category/*/cat_{each}" for each in ("pages", "subcats", "files")),
    "change_tag_def/*/ctd_count",
    f"user/{ACTOR}/user_editcount",
)
PAGE = ("page_latest", "page_len", "page_is_new", "page_is_redirect", "page_links_updated")
COMMENTS = {
    "revision_comment_temp": "revcomment_comment_id",
    "logging": "log_comment_id",
    "archive": "ar_comment_id",
    "ipblocks": "ipb_reason_id",
}
"""Tables of what has a comment, with the column of the comment."""


class Following:
    """Collects the paths that may change, row by row."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._paths = rows, [*COUNTERS]

    def explain_all(self) -> bool:
        """True if nothing else changed, but for names that what follows has brought: comments, categories, tags."""
        named = self._used(COMMENTS)
        self.allow_new("comment", lambda row: row["comment_id"] in named)
        categories = self._used({"categorylinks": "cl_to"})
        self.allow_new("category", lambda row: row["cat_title"] in categories)
        tags = self._used({"change_tag": "ct_tag_id"})
        self.allow_new("change_tag_def", lambda row: row["ctd_id"] in tags)
        return self._rows.only(*self._paths)

    def allow(self, *paths: str) -> None:
        """Patterns of paths."""
        self._paths += paths

    def allow_new(self, table: str, follows: Callable[[Row], bool]) -> set[str]:
        """New rows of a table, if they follow; returns their keys."""
        return self._allow(table, self._rows.new(table), follows)

    def allow_gone(self, table: str, follows: Callable[[Row], bool]) -> set[str]:
        """Rows that are gone, if that follows; returns their keys."""
        return self._allow(table, self._rows.gone(table), follows)

    def allow_links(self, page: int, targets: Collection[str]) -> None:
        """New links from a page to targets, and the end of its older links."""
        for table, (column, target) in LINKS.items():
            self.allow_gone(table, lambda row, column=column: row[column] == page)
            self.allow_new(
                table, lambda row, column=column, target=target: row[column] == page and row[target] in targets
            )

    def allow_entry(self, kind: str, title: str) -> None:
        """One entry of a kind in the log, about a title, and in the recent changes."""
        entries = self.allow_new(
            "logging", lambda row: (row["log_actor"], row["log_type"], row["log_title"]) == (ACTOR, kind, title)
        )
        shown = self.allow_new("recentchanges", lambda row: str(row["rc_logid"]) in entries)
        self.allow_new("log_search", lambda row: str(row["ls_log_id"]) in entries)
        if len(entries) > 1 or len(shown) > 1:
            self.allow_nothing()

    def allow_nothing(self) -> None:
        """Forgets what was allowed: something was done twice."""
        self._paths.clear()

    def _allow(self, table: str, rows: Mapping[str, Row], follows: Callable[[Row], bool]) -> set[str]:
        found = {key: row for key, row in rows.items() if follows(row)}
        self.allow(*keys(table, found))
        return set(found)

    def _used(self, columns: Mapping[str, str]) -> set[str | int]:
        """Values of columns in new rows."""
        return {row[column] for table, column in columns.items() for row in self._rows.new(table).values()}


def edits(rows: Rows, texts: Mapping[int, str], *, reverted: Collection[int] = ()) -> Following:
    """Follows from one new revision of each page, which may be new, by the user who is signed in.

    `texts`: the new texts by page; empty for a page whose text stays. `reverted`: older revisions, which are marked as such.
    """
    pages = set(texts)
    follows = Following(rows)
    revisions = follows.allow_new("revision", lambda row: row["rev_page"] in pages and row["rev_actor"] == ACTOR)
    follows.allow_new("revision_comment_temp", lambda row: str(row["revcomment_rev"]) in revisions)
    slots = follows.allow_new("slots", lambda row: str(row["slot_revision_id"]) in revisions)
    contents = {rows.new("slots")[key]["slot_content_id"] for key in slots}
    stored = follows.allow_new("content", lambda row: row["content_id"] in contents)
    addresses = {rows.new("content")[key]["content_address"] for key in stored}
    follows.allow_new("text", lambda row: f"tt:{row['old_id']}" in addresses)
    follows.allow_new("recentchanges", lambda row: str(row["rc_this_oldid"]) in revisions and row["rc_logid"] == 0)
    follows.allow_new("change_tag", lambda row: str(row["ct_rev_id"]) in revisions or row["ct_rev_id"] in reverted)
    entries = follows.allow_new("logging", lambda row: row["log_type"] == "create" and row["log_page"] in pages)
    follows.allow_new("log_search", lambda row: str(row["ls_log_id"]) in entries)
    for page, text in texts.items():
        follows.allow_new("page", lambda row, page=page: row["page_id"] == page)
        follows.allow(*(f"page/{page}/{column}" for column in PAGE), f"redirect/{page}/rd_title")
        if text:
            follows.allow_links(page, linked(text))
    if len(revisions) > len(pages):
        follows.allow_nothing()
    return follows


def keys(table: str, rows: Collection[str]) -> list[str]:
    """Paths of whole rows."""
    return [f"{table}/{key}" for key in rows]
