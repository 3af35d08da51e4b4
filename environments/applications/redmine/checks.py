"""Checks of the tracker's templates: the wanted rows are there, and nothing changed that does not follow from them."""

from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.tasks.answers import is_number, is_text
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Check, Ending

ISSUES, JOURNALS, DETAILS, RELATIONS = "issues", "journals", "journal_details", "issue_relations"
HOURS, WATCHERS, NEWS, COMMENTS = "time_entries", "watchers", "news", "comments"
VERSIONS, CATEGORIES, PROJECTS = "versions", "issue_categories", "projects"
PAGES, CONTENTS, EDITIONS = "wiki_pages", "wiki_contents", "wiki_content_versions"
MEMBERS, MEMBER_ROLES = "members", "member_roles"
ACTOR = 5
"""Id of the member who is signed in."""
PREFERENCES = "user_preferences/1/others"
VISITED = (":recently_used_project_ids:", ":gantt_zoom:", ":gantt_months:")
"""Beginnings of the lines of a member's preferences that a mere visit of a page changes."""


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    answer = is_number(end.answer.removeprefix("#"), float(end.parameters["answer"]))
    return {"answer": answer, "no_side_effects": rows_of(end).only()}


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": rows_of(end).only()}


def issue_set(column: str, *also: str) -> Check:
    """A column of the issue has the parameter `value`; the columns `also` may follow from that."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = rows_of(end), end.parameters
        found = rows.changed(ISSUES, wanted["number"]).get(column)
        return {
            "changed_as_wanted": is_value(found, wanted["value"]),
            "no_side_effects": rows.only(*of_issue(rows, wanted["number"], column, *also)),
        }

    return check


def noted(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new note on the issue, the wanted one."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(JOURNALS)
    found = [(row["journalized_id"], row["user_id"], row["private_notes"], plain(row["notes"])) for row in new.values()]
    return {
        "noted": found == [(wanted["number"], ACTOR, False, wanted["text"])],
        "no_side_effects": rows.only(*new_rows(JOURNALS, new), *touched(wanted["number"])),
    }


def related(end: Ending) -> Mapping[str, bool]:
    """The two issues are related, in either direction."""
    rows, wanted = rows_of(end), end.parameters
    new, both = rows.new(RELATIONS), (wanted["number"], wanted["other"])
    found = [{row["issue_from_id"], row["issue_to_id"]} for row in new.values() if row["relation_type"] == "relates"]
    return {
        "related": found == [set(both)] and len(new) == 1,
        "no_side_effects": rows.only(
            *new_rows(RELATIONS, new), *(path for number in both for path in of_issue(rows, number, "relates"))
        ),
    }


def added(table: str, **columns: str) -> Check:
    """There is exactly one new row in a table, whose columns have the values of these parameters."""
    return added_with(table, {}, **columns)


def added_with(table: str, fixed: Mapping[str, Any], **columns: str) -> Check:
    """As `added`, with columns that have a fixed value."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = rows_of(end), end.parameters
        new = rows.new(table)
        found = [
            all(is_value(row[column], value) for column, value in fixed.items())
            and all(is_value(row[column], wanted[parameter]) for column, parameter in columns.items())
            for row in new.values()
        ]
        return {"added": found == [True], "no_side_effects": rows.only(*new_rows(table, new))}

    return check


def news_added(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new news item, as wanted; its author watches it."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(NEWS)
    found = [(row["project_id"], row["author_id"], row["title"], plain(row["summary"])) for row in new.values()]
    watching = {
        key: row
        for key, row in rows.new(WATCHERS).items()
        if row["watchable_type"] == "News" and str(row["watchable_id"]) in new and row["user_id"] == ACTOR
    }
    return {
        "added": found == [(wanted["project_id"], ACTOR, wanted["title"], "")]
        and [plain(row["description"]) for row in new.values()] == [wanted["text"]],
        "no_side_effects": rows.only(*new_rows(NEWS, new), *new_rows(WATCHERS, watching)),
    }


def commented(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new comment, on the news item."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(COMMENTS)
    found = [(row["commented_type"], row["commented_id"], row["author_id"]) for row in new.values()]
    return {
        "commented": found == [("News", wanted["news"], ACTOR)]
        and [plain(row["content"]) for row in new.values()] == [wanted["text"]],
        "no_side_effects": rows.only(*new_rows(COMMENTS, new), f"{NEWS}/{wanted['news']}/comments_count"),
    }


def page_added(end: Ending) -> Mapping[str, bool]:
    """The wiki has exactly one new page, with the wanted title and text."""
    rows, wanted = rows_of(end), end.parameters
    pages, contents, editions = rows.new(PAGES), rows.new(CONTENTS), rows.new(EDITIONS)
    number = next(iter(pages), "")
    return {
        # The page from which the form was opened is proposed as its parent.
        "added": [(row["wiki_id"], row["title"]) for row in pages.values()]
        == [(wanted["project_id"], wanted["title"])],
        "written": [(str(row["page_id"]), plain(row["text"])) for row in contents.values()]
        == [(number, wanted["text"])],
        "no_side_effects": all(str(row["page_id"]) == number for row in editions.values())
        and rows.only(*new_rows(PAGES, pages), *new_rows(CONTENTS, contents), *new_rows(EDITIONS, editions)),
    }


def page_edited(end: Ending) -> Mapping[str, bool]:
    """The page of the wiki has the wanted text."""
    rows, wanted = rows_of(end), end.parameters
    editions = {key: row for key, row in rows.new(EDITIONS).items() if row["page_id"] == wanted["page"]}
    columns = ("text", "version", "comments", "updated_on", "author_id")
    return {
        "written": plain(rows.changed(CONTENTS, wanted["page"]).get("text")) == wanted["text"],
        "no_side_effects": rows.only(
            *new_rows(EDITIONS, editions), *(f"{CONTENTS}/{wanted['page']}/{column}" for column in columns)
        ),
    }


def described(end: Ending) -> Mapping[str, bool]:
    """The project has the wanted description."""
    rows, wanted = rows_of(end), end.parameters
    paths = [f"{PROJECTS}/{wanted['project_id']}/{column}" for column in ("description", "updated_on")]
    found = rows.changed(PROJECTS, wanted["project_id"]).get("description")
    return {"changed_as_wanted": plain(found) == wanted["text"], "no_side_effects": rows.only(*paths)}


def version_closed(end: Ending) -> Mapping[str, bool]:
    """The version is closed."""
    rows, wanted = rows_of(end), end.parameters
    paths = [f"{VERSIONS}/{wanted['version_id']}/{column}" for column in ("status", "updated_on")]
    found = rows.changed(VERSIONS, wanted["version_id"]).get("status")
    return {"changed_as_wanted": found == "closed", "no_side_effects": rows.only(*paths)}


def joined(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new member of the project, with exactly the wanted role."""
    rows, wanted = rows_of(end), end.parameters
    members, roles = rows.new(MEMBERS), rows.new(MEMBER_ROLES)
    number = next(iter(members), "")
    return {
        "joined": [(row["project_id"], row["user_id"]) for row in members.values()]
        == [(wanted["project_id"], wanted["user_id"])],
        "with_role": [(str(row["member_id"]), row["role_id"]) for row in roles.values()]
        == [(number, wanted["role_id"])],
        "no_side_effects": rows.only(*new_rows(MEMBERS, members), *new_rows(MEMBER_ROLES, roles)),
    }


def of_issue(rows: Rows, number: int, *columns: str) -> list[str]:
    """Paths of the issue's columns, and of its history that tells of nothing but them."""
    history = {
        key: row
        for key, row in rows.new(JOURNALS).items()
        if row["journalized_id"] == number
        and row["journalized_type"] == "Issue"
        and row["user_id"] == ACTOR
        and not plain(row["notes"])
    }
    details = {
        key: row
        for key, row in rows.new(DETAILS).items()
        if str(row["journal_id"]) in history and row["prop_key"] in columns
    }
    own = [f"{ISSUES}/{number}/{column}" for column in columns]
    return [*own, *touched(number), *new_rows(JOURNALS, history), *new_rows(DETAILS, details)]


def touched(number: int) -> list[str]:
    """Paths that every change of an issue moves."""
    return [f"{ISSUES}/{number}/lock_version", f"{ISSUES}/{number}/updated_on"]


def new_rows(table: str, rows: Mapping[str, Row]) -> list[str]:
    """Paths of whole rows."""
    return [f"{table}/{key}" for key in rows]


def rows_of(end: Ending) -> Rows:
    """The changes, without what a mere visit notes in the member's preferences, and from nothing to an empty text."""
    return Rows(Changes(tuple(change for change in end.changes.all if not (_is_visit(change) or _is_empty(change)))))


def _is_empty(change: Change) -> bool:
    return change.before in (None, "") and change.after in (None, "")


def _is_visit(change: Change) -> bool:
    return change.path == PREFERENCES and _without_visits(change.before) == _without_visits(change.after)


def _without_visits(preferences: Any) -> list[str]:
    lines = str(preferences).splitlines()
    return sorted(line for line in lines if not line.startswith(VISITED))


def plain(text: Any) -> str:
    """A text as people see it: forms send other ends of lines."""
    return str(text or "").replace("\r\n", "\n").strip()


def is_value(found: Any, wanted: Any) -> bool:
    """True for the same number, text or truth; None is an empty field."""
    if wanted is None or isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted or (wanted is None and found == "")
    if isinstance(wanted, int | float):
        return isinstance(found, int | float) and abs(found - wanted) < 1e-6
    return plain(found) == wanted
