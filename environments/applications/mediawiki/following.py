"""Rows that follow from an edit or from an administrator's action: records, links, counters."""

from collections.abc import Callable, Mapping

from environments.applications.hosted.rows import Row, Rows
from environments.applications.mediawiki.world import ACTOR_ID

ACTOR = ACTOR_ID
LINKS = {
    "pagelinks": "pl_from",
    "categorylinks": "cl_from",
    "externallinks": "el_from",
    "page_props": "pp_page",
    "redirect": "rd_from",
}
"""Tables of what a page's text says, with the column of the page."""
COUNTED = ("category*", "change_tag_def*", "linktarget*", "comment/*")
"""Names and counters that follow from other rows, which are compared."""
PAGE = ("page_latest", "page_len", "page_is_new", "page_is_redirect", "page_links_updated")


class Following:
    """Collects the paths that may change, row by row."""

    def __init__(self, rows: Rows, *, logs: tuple[str, ...] = ()) -> None:
        """`logs`: kinds of entries that the action writes into the log, and shows in the recent changes."""
        self._rows, self._paths = rows, [*COUNTED[1:], "category/*"]
        self.allow_new("logging", lambda row: row["log_actor"] == ACTOR and row["log_type"] in logs)
        self.allow_new("recentchanges", lambda row: row["rc_actor"] == ACTOR and row["rc_log_type"] in logs)
        entries = set(rows.new("logging"))
        self.allow_new("log_search", lambda row: str(row["ls_log_id"]) in entries)

    @property
    def are_all(self) -> bool:
        """True if nothing else changed."""
        return self._rows.only(*self._paths)

    def allow(self, *paths: str) -> None:
        """Patterns of paths."""
        self._paths += paths

    def allow_new(self, table: str, follows: Callable[[Row], bool]) -> None:
        """New rows of a table, if they follow."""
        self.allow(*keys(table, {key: row for key, row in self._rows.new(table).items() if follows(row)}))

    def allow_gone(self, table: str, follows: Callable[[Row], bool]) -> None:
        """Rows that are gone, if that follows."""
        self.allow(*keys(table, {key: row for key, row in self._rows.gone(table).items() if follows(row)}))

    def allow_links(self, page: int) -> None:
        """Links from a page."""
        for table, column in LINKS.items():
            self.allow_new(table, lambda row, column=column: row[column] == page)
            self.allow_gone(table, lambda row, column=column: row[column] == page)


def edits(rows: Rows, *pages: int, logs: tuple[str, ...] = ()) -> Following:
    """Follows from new revisions of pages, which may be new, by the user who is signed in."""
    follows = Following(rows, logs=logs)
    revisions = {
        key for key, row in rows.new("revision").items() if row["rev_page"] in pages and row["rev_actor"] == ACTOR
    }
    follows.allow(*(f"revision/{key}" for key in revisions))
    follows.allow_new("revision_comment_temp", lambda row: str(row["revcomment_rev"]) in revisions)
    follows.allow_new("slots", lambda row: str(row["slot_revision_id"]) in revisions)
    contents = {
        str(row["slot_content_id"]) for row in rows.new("slots").values() if str(row["slot_revision_id"]) in revisions
    }
    addresses = {row["content_address"] for key, row in rows.new("content").items() if key in contents}
    follows.allow(*(f"content/{key}" for key in rows.new("content") if key in contents))
    follows.allow(*(f"text/{key}" for key in rows.new("text") if f"tt:{key}" in addresses))
    follows.allow_new("recentchanges", lambda row: row["rc_cur_id"] in pages and row["rc_actor"] == ACTOR)
    follows.allow_new("change_tag", lambda row: str(row["ct_rev_id"]) in revisions)
    follows.allow(f"user/{ACTOR}/user_editcount", f"user/{ACTOR}/user_touched")
    new = rows.new("page")
    for page in pages:
        follows.allow(*(f"page/{page}/{column}" for column in PAGE))
        follows.allow(*([f"page/{page}"] if str(page) in new else []))
        follows.allow_links(page)
    return follows


def keys(table: str, rows: Mapping[str, Row]) -> list[str]:
    """Paths of whole rows."""
    return [f"{table}/{key}" for key in rows]
