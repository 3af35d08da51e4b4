"""Checks of the forum's templates: the wanted rows are there, and nothing changed that does not follow from them."""

from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.tasks.templates import Check, Ending, Parameters

THREADS, POSTS, LIKES, EDITS = (
    "misago_threads_thread",
    "misago_threads_post",
    "misago_threads_postlike",
    "misago_threads_postedit",
)
CATEGORIES, USERS, TRAIL = "misago_categories_category", "misago_users_user", "misago_users_audittrail"
FOLLOWS, WATCHED, POLLS = "misago_users_user_follows", "misago_notifications_watchedthread", "misago_threads_poll"
ACTOR = 1
"""Id of the member who is signed in."""
EVENTS = {"is_closed": ("closed", "opened"), "is_hidden": ("hid", "unhid"), "title": ("changed_title",)}
PINNED = ("pinned_globally", "pinned_locally", "unpinned")
LAST = ("last_post_id", "last_post_on", "last_post_is_event", "last_poster_id", "last_poster_name", "last_poster_slug")
OF_ACTOR = tuple(f"{USERS}/{ACTOR}/{column}" for column in ("posts", "threads", "last_posted_on"))
"""Counters that posting moves."""


def posted(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new post, the wanted reply."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new(POSTS)
    return {
        "replied": [is_post(row, wanted["number"], wanted["text"]) for row in new.values()] == [True],
        "no_side_effects": rows.only(
            *new_rows(POSTS, new),
            *of_thread(wanted, "replies", *LAST),
            *of_category(wanted["category_id"]),
            *OF_ACTOR,
            *trail(rows),
            *watching(rows, wanted["number"]),
        ),
    }


def started(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new thread with one post, as wanted."""
    rows, wanted = Rows(end.changes), end.parameters
    threads, posts = rows.new(THREADS), rows.new(POSTS)
    number = next(iter(threads), "")
    is_thread = [
        row["title"] == wanted["title"]
        and row["category_id"] == wanted["category_id"]
        and row["is_closed"] is wanted.get("is_closed", False)
        and row["weight"] == 0
        and not row["is_hidden"]
        for row in threads.values()
    ]
    return {
        "thread_started": is_thread == [True],
        "message_posted": [is_post(row, number, wanted["text"]) for row in posts.values() if not row["is_event"]]
        == [True],
        "no_side_effects": rows.only(
            *new_rows(THREADS, threads),
            *new_rows(POSTS, posts),
            *of_category(wanted["category_id"]),
            *OF_ACTOR,
            *trail(rows),
            *watching(rows, number),
        ),
    }


def edited(end: Ending) -> Mapping[str, bool]:
    """The post has the wanted text."""
    rows, wanted = Rows(end.changes), end.parameters
    now = rows.changed(POSTS, wanted["post"])
    edits = rows.new(EDITS)
    columns = ("original", "parsed", "edits", "updated_on", "last_editor_id", "last_editor_name", "last_editor_slug")
    return {
        "edited": str(now.get("original", "")).strip() == wanted["text"],
        "no_side_effects": all(row["post_id"] == wanted["post"] for row in edits.values())
        and rows.only(
            *(f"{POSTS}/{wanted['post']}/{column}" for column in columns), *new_rows(EDITS, edits), *trail(rows)
        ),
    }


def liked(end: Ending) -> Mapping[str, bool]:
    """The member who is signed in likes the post."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new(LIKES)
    return {
        "liked": [(row["post_id"], row["liker_id"]) for row in new.values()] == [(wanted["post"], ACTOR)],
        "no_side_effects": rows.only(
            *new_rows(LIKES, new), f"{POSTS}/{wanted['post']}/likes", f"{POSTS}/{wanted['post']}/last_likes"
        ),
    }


def thread_set(column: str, value: Any) -> Check:
    """A column of the thread is as wanted: closed, hidden, pinned."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = Rows(end.changes), end.parameters
        hidden = (
            [f"{POSTS}/{wanted['first_post']}/{part}" for part in ("is_hidden", *HIDDEN)]
            if column == "is_hidden"
            else []
        )
        return {
            "changed_as_wanted": rows.changed(THREADS, wanted["number"]).get(column) == value,
            "no_side_effects": rows.only(
                *moderated(rows, wanted, EVENTS.get(column, PINNED)), *of_thread(wanted, column), *hidden
            ),
        }

    return check


HIDDEN = ("hidden_by_id", "hidden_by_name", "hidden_by_slug", "hidden_on")


def renamed(end: Ending) -> Mapping[str, bool]:
    """The thread has the wanted title."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "renamed": rows.changed(THREADS, wanted["number"]).get("title") == wanted["new_title"],
        "no_side_effects": rows.only(*moderated(rows, wanted, EVENTS["title"]), *of_thread(wanted, "title", "slug")),
    }


def moved(end: Ending) -> Mapping[str, bool]:
    """The thread, with its posts, is in the wanted category."""
    rows, wanted = Rows(end.changes), end.parameters
    own = range(wanted["first_post"], wanted["first_post"] + wanted["posts"])
    return {
        "moved": rows.changed(THREADS, wanted["number"]).get("category_id") == wanted["new_category_id"],
        "no_side_effects": rows.only(
            *moderated(rows, wanted, ("moved",)),
            *of_thread(wanted, "category_id"),
            *of_category(wanted["new_category_id"]),
            *(f"{POSTS}/{post}/category_id" for post in own),
        ),
    }


def watched(end: Ending) -> Mapping[str, bool]:
    """The member who is signed in watches the thread in the wanted way."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new(WATCHED)
    found = [(row["thread_id"], row["user_id"], row["send_emails"]) for row in new.values()]
    return {
        "watched": found == [(wanted["number"], ACTOR, wanted["send_emails"])],
        "no_side_effects": rows.only(*new_rows(WATCHED, new)),
    }


def followed(end: Ending) -> Mapping[str, bool]:
    """The member who is signed in follows the wanted member."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new(FOLLOWS)
    found = [(row["from_user_id"], row["to_user_id"]) for row in new.values()]
    return {
        "followed": found == [(ACTOR, wanted["member"])],
        "no_side_effects": rows.only(
            *new_rows(FOLLOWS, new), f"{USERS}/{ACTOR}/following", f"{USERS}/{wanted['member']}/followers"
        ),
    }


def profile_set(end: Ending) -> Mapping[str, bool]:
    """The field of the own profile has the wanted text, and no other field has any."""
    rows, wanted = Rows(end.changes), end.parameters
    now = rows.changed(USERS, ACTOR)
    fields = now.get("profile_fields") or {
        column.partition("/")[2]: value for column, value in now.items() if column.startswith("profile_fields/")
    }
    return {
        "changed_as_wanted": {name: value for name, value in fields.items() if value}
        == {wanted["column"]: wanted["text"]},
        "no_side_effects": rows.only(f"{USERS}/{ACTOR}/profile_fields*"),
    }


def option_set(end: Ending) -> Mapping[str, bool]:
    """The option of the own account has the wanted value."""
    rows, wanted = Rows(end.changes), end.parameters
    return {
        "changed_as_wanted": rows.changed(USERS, ACTOR).get(wanted["column"]) == wanted["value"],
        "no_side_effects": rows.only(f"{USERS}/{ACTOR}/{wanted['column']}"),
    }


def polled(end: Ending) -> Mapping[str, bool]:
    """The thread has the wanted poll."""
    rows, wanted = Rows(end.changes), end.parameters
    new = rows.new(POLLS)
    found = [
        (row["thread_id"], row["question"], [choice["label"] for choice in row["choices"]]) for row in new.values()
    ]
    return {
        "poll_started": found == [(wanted["number"], wanted["question"], wanted["choices"])],
        "no_side_effects": rows.only(*new_rows(POLLS, new), *of_thread(wanted, "has_poll"), *trail(rows)),
    }


def is_post(row: Row, thread: int | str, text: str) -> bool:
    """True for a visible post of the thread with the text."""
    return (
        str(row["thread_id"]) == str(thread)
        and row["poster_id"] == ACTOR
        and str(row["original"]).strip() == text
        and not row["is_hidden"]
    )


def new_rows(table: str, rows: Mapping[str, Row]) -> list[str]:
    """Paths of new rows."""
    return [f"{table}/{key}" for key in rows]


def of_thread(wanted: Parameters, *columns: str) -> list[str]:
    """Paths of the thread's columns."""
    return [f"{THREADS}/{wanted['number']}/{column}" for column in columns]


def of_category(category: int) -> list[str]:
    """Paths of a category's counters, and of its newest thread."""
    return [f"{CATEGORIES}/{category}/{column}" for column in ("threads", "posts", "last_*")]


def moderated(rows: Rows, wanted: Parameters, events: tuple[str, ...]) -> list[str]:
    """Paths that follow from a moderator's action on the thread: a note in it, and its place in the lists."""
    notes = {
        key: row
        for key, row in rows.new(POSTS).items()
        if row["is_event"] and row["thread_id"] == wanted["number"] and row["event_type"] in events
    }
    return [*new_rows(POSTS, notes), *of_thread(wanted, "has_events", *LAST), *of_category(wanted["category_id"])]


def trail(rows: Rows) -> list[str]:
    """Paths of the notes of who did what, which follow from every post."""
    return new_rows(TRAIL, {key: row for key, row in rows.new(TRAIL).items() if row["user_id"] == ACTOR})


def watching(rows: Rows, thread: int | str) -> list[str]:
    """Paths of the watching of a thread that begins with a post in it."""
    return new_rows(
        WATCHED, {key: row for key, row in rows.new(WATCHED).items() if str(row["thread_id"]) == str(thread)}
    )
