"""Checks of the wiki's templates: the wanted rows are there, and nothing changed that does not follow from them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from environments.applications.hosted.rows import Row, Rows
from environments.applications.mediawiki.following import ACTOR, Following, edits, keys
from environments.applications.mediawiki.wikitext import is_one_of, with_topic
from environments.applications.mediawiki.world import user_id
from environments.tasks.templates import Check, Ending

MAIN, TALK, USER, USER_TALK = 0, 1, 2, 3
"""Numbers of namespaces."""
PROPOSED = {"sitewide": 1, "create_account": 1, "enable_autoblock": 1, "allow_usertalk": 1}
"""Options of a block as the form proposes them."""


def edited(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new revision: the page with the wanted text."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "edited": is_written(rows, wanted["page"], wanted["texts"]),
        "no_side_effects": edits(
            rows, {wanted["page"]: wanted["texts"][0]}, reverted=wanted.get("undone", ())
        ).explain_all(),
    }


def created(namespace: int) -> Check:
    """There is exactly one new page with one revision, as wanted."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        page = new_page(rows, namespace, wanted["new_path"])
        return {
            "created": is_written(rows, page, wanted["texts"]),
            "no_side_effects": edits(rows, {page: wanted["texts"][0]}).explain_all(),
        }

    return check


def topic_added(namespace: int) -> Check:
    """The discussion page, which may be new, has one more topic, at its end."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        title = wanted["talk"].partition(":")[2]
        page = wanted.get("talk_page") or new_page(rows, namespace, title)
        texts = with_topic(wanted.get("old", ""), wanted["subject"], wanted["text"])
        follows = edits(rows, {page: texts[0]})
        if namespace == USER_TALK:
            follows.allow_new("user_newtalk", lambda row: row["user_id"] == user_id(wanted["user"]))
        return {"topic_added": is_written(rows, page, texts), "no_side_effects": follows.explain_all()}

    return check


def moved(*, leaves_redirect: bool) -> Check:
    """The page has the wanted title, and its old title leads there, or is free."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        pages = rows.new("page")
        old = next(iter(pages), "0")
        redirects = [(row["page_namespace"], row["page_title"], row["page_is_redirect"]) for row in pages.values()]
        follows = edits(rows, {wanted["page"]: "", int(old): f"[[{wanted['new_title']}]]"})
        follows.allow_entry("move", wanted["path"])
        follows.allow(f"page/{wanted['page']}/page_title", f"categorylinks/{wanted['page']},*/cl_sortkey*")
        return {
            "renamed": rows.changed("page", wanted["page"]).get("page_title") == wanted["new_path"],
            "old_title": redirects == ([(MAIN, wanted["path"], 1)] if leaves_redirect else []),
            "no_side_effects": is_unchanged_text(rows, wanted["page"]) and follows.explain_all(),
        }

    return check


def protection_set(level: str) -> Check:
    """Only users of a level may edit and move the page, for ever; an empty level: everybody may."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        new, gone = rows.new("page_restrictions"), rows.gone("page_restrictions")
        found = new if level else gone
        of_page = [
            (row["pr_type"], row["pr_level"], row["pr_expiry"])
            for row in found.values()
            if row["pr_page"] == wanted["page"] and not row["pr_cascade"]
        ]
        whole = [("edit", "sysop", "infinity"), ("move", "sysop", "infinity")]
        follows = edits(rows, {wanted["page"]: ""})
        follows.allow_entry("protect", wanted["path"])
        follows.allow(*(f"page_restrictions/{key}" for key in found))
        return {
            "protection": sorted(of_page) == whole and len(found) == len(whole),
            "no_side_effects": is_unchanged_text(rows, wanted["page"]) and follows.explain_all(),
        }

    return check


def deleted(end: Ending) -> Mapping[str, bool]:
    """The page is in the archive."""
    rows, wanted = Rows(end.changes), end.parameters
    page = wanted["page"]
    follows = Following(rows)
    follows.allow_entry("delete", wanted["path"])
    revisions = follows.allow_gone("revision", lambda row: row["rev_page"] == page)
    follows.allow_gone("revision_comment_temp", lambda row: str(row["revcomment_rev"]) in revisions)
    follows.allow_gone("recentchanges", lambda row: row["rc_cur_id"] == page)
    follows.allow_new("archive", lambda row: row["ar_page_id"] == page and str(row["ar_rev_id"]) in revisions)
    follows.allow(f"page/{page}")
    follows.allow_links(page, ())
    return {"deleted": set(rows.gone("page")) == {str(page)}, "no_side_effects": follows.explain_all()}


def restored(end: Ending) -> Mapping[str, bool]:
    """The page, which was in the archive, is there again, with all its revisions."""
    rows, wanted = Rows(end.changes), end.parameters
    page = wanted["page"]
    follows = Following(rows)
    follows.allow_entry("delete", wanted["path"])
    follows.allow_gone("archive", lambda row: row["ar_page_id"] == page)
    archived = {str(row["ar_rev_id"]) for row in rows.gone("archive").values()}
    revisions = follows.allow_new("revision", lambda row: row["rev_page"] == page and str(row["rev_id"]) in archived)
    follows.allow_new("revision_comment_temp", lambda row: str(row["revcomment_rev"]) in revisions)
    follows.allow(f"page/{page}")
    follows.allow_links(page, ())
    found = [(key, row["page_namespace"], row["page_title"]) for key, row in rows.new("page").items()]
    return {
        "restored": found == [(str(page), MAIN, wanted["path"])] and len(revisions) == wanted["revisions"],
        "no_side_effects": follows.explain_all(),
    }


def watching(is_watching: bool) -> Check:
    """The article and its discussion page are on the watchlist, or no longer."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        found = rows.new("watchlist") if is_watching else rows.gone("watchlist")
        pages = sorted((row["wl_user"], row["wl_namespace"], row["wl_title"]) for row in found.values())
        return {
            "watchlist": pages == [(ACTOR, MAIN, wanted["path"]), (ACTOR, TALK, wanted["path"])],
            "no_side_effects": rows.only(*keys("watchlist", found)),
        }

    return check


def blocked(end: Ending) -> Mapping[str, bool]:
    """The editor is blocked everywhere, for the wanted time."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("ipblocks")
    found = [
        row["ipb_user"] == user_id(wanted["user"])
        and all(row[f"ipb_{option}"] == value for option, value in PROPOSED.items())
        and lasts(row, wanted["expiry"])
        for row in new.values()
    ]
    follows = Following(rows)
    follows.allow_entry("block", wanted["user"])
    follows.allow(*keys("ipblocks", new))
    return {"blocked": found == [True], "no_side_effects": follows.explain_all()}


def unblocked(end: Ending) -> Mapping[str, bool]:
    """The editor is no longer blocked."""
    rows, wanted = Rows(end.changes), end.parameters
    gone = rows.gone("ipblocks")
    follows = Following(rows)
    follows.allow_entry("block", wanted["user"])
    follows.allow(*keys("ipblocks", gone))
    return {
        "unblocked": [row["ipb_user"] for row in gone.values()] == [user_id(wanted["user"])],
        "no_side_effects": follows.explain_all(),
    }


def promoted(end: Ending) -> Mapping[str, bool]:
    """The editor is an administrator, for ever."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new("user_groups")
    found = [(row["ug_user"], row["ug_group"], row["ug_expiry"]) for row in new.values()]
    follows = Following(rows)
    follows.allow_entry("rights", wanted["user"])
    follows.allow(*keys("user_groups", new))
    return {
        "promoted": found == [(user_id(wanted["user"]), "sysop", None)],
        "no_side_effects": follows.explain_all(),
    }


def real_name_set(end: Ending) -> Mapping[str, bool]:
    """The user who is signed in has the wanted real name."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "changed_as_wanted": rows.changed("user", ACTOR).get("user_real_name") == wanted["text"],
        "no_side_effects": rows.only(f"user/{ACTOR}/user_real_name"),
    }


def new_page(rows: Rows, namespace: int, title: str) -> int:
    """Id of the new page with the title; 0 if there is none."""
    found = [
        int(key)
        for key, row in rows.new("page").items()
        if row["page_namespace"] == namespace and row["page_title"] == title.replace(" ", "_")
    ]
    return found[0] if found else 0


def is_written(rows: Rows, page: int, texts: list[str]) -> bool:
    """True if there is one new revision in all, and it gives the page one of the texts."""
    found = [
        row["rev_page"] == page
        and row["rev_actor"] == ACTOR
        and not row["rev_deleted"]
        and is_one_of(row["rev_sha1"], texts)
        for row in rows.new("revision").values()
    ]
    return found == [True]


def is_unchanged_text(rows: Rows, page: int) -> bool:
    """True if the page is as long as before: notes in its history keep its text."""
    return not {"page_len", "page_is_redirect"} & set(rows.changed("page", page))


def lasts(row: Row, expiry: str) -> bool:
    """True if a block's end is as long after its begin as an expiry such as `2 weeks` says."""
    number, _, unit = expiry.partition(" ")
    begin, end = (
        datetime.fromisoformat(str(row[name]).replace("infinity", "9999-01-01"))
        for name in ("ipb_timestamp", "ipb_expiry")
    )
    days = {"day": (1, 1), "week": (7, 7), "month": (28, 31), "year": (365, 366)}[unit.removesuffix("s")]
    least, most = (timedelta(days=int(number) * each) for each in days)
    return (
        least - timedelta(minutes=5)
        <= end.replace(tzinfo=None) - begin.replace(tzinfo=None)
        <= most + timedelta(minutes=5)
    )
