"""Checks of Superset's templates: the wanted rows are there, and nothing changed that does not follow from them."""

import json
from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.tasks.answers import is_number, is_text
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Check, Ending

DASHBOARDS, CHARTS, FAVOURITES, LAYERS, STYLES = "dashboards", "slices", "favstar", "annotation_layer", "css_templates"
SAVED, QUERIES = "saved_query", "query"
ACTOR = 1
"""Id of the person who is signed in."""
LAYOUT = ("json_metadata", "position_json")
"""Columns of a dashboard that are written anew whenever it is saved in its edit mode."""
COLOURS = ("label_colors", "map_label_colors", "shared_label_colors", "color_scheme_domain")
"""Settings of a dashboard that Superset writes down when an owner looks at it."""
DEFAULTS = {"cross_filters_enabled": True}


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    return {
        "answer": is_number(end.answer, float(end.parameters["answer"])),
        "no_side_effects": only(rows_of(end)),
    }


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": only(rows_of(end))}


def dashboard_set(column: str, parameter: str) -> Check:
    """A column of the dashboard has the value of a parameter."""
    return _column_set(DASHBOARDS, "dashboard", column, parameter, also=LAYOUT)


def chart_set(column: str, parameter: str) -> Check:
    """A column of the chart has the value of a parameter."""
    return _column_set(CHARTS, "chart", column, parameter)


def layer_set(column: str, parameter: str) -> Check:
    """A column of the annotation layer has the value of a parameter."""
    return _column_set(LAYERS, "row", column, parameter)


def publication(is_published: bool) -> Check:
    """The dashboard is published, or a draft."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, number = rows_of(end), end.parameters["dashboard"]
        return {
            "changed_as_wanted": rows.changed(DASHBOARDS, number).get("published") is is_published,
            "no_side_effects": only(rows, *columns_of(DASHBOARDS, number, "published", *LAYOUT)),
        }

    return check


def favourite(kind: str, parameter: str) -> Check:
    """The person who is signed in has marked a dashboard or a chart as a favourite."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows = rows_of(end)
        new = rows.new(FAVOURITES)
        found = [(row["user_id"], row["class_name"], row["obj_id"]) for row in new.values()]
        return {
            "marked": found == [(ACTOR, kind, end.parameters[parameter])],
            "no_side_effects": only(rows, *new_rows(FAVOURITES, new)),
        }

    return check


def dashboard_added(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new dashboard, with the wanted title and without charts."""
    rows = rows_of(end)
    new = rows.new(DASHBOARDS)
    return {
        "added": [row["dashboard_title"] for row in new.values()] == [end.parameters["new_title"]],
        "no_side_effects": only(rows, *new_rows(DASHBOARDS, new), *linked(rows, "dashboard_user", "dashboard_id", new)),
    }


def dashboard_removed(end: Ending) -> Mapping[str, bool]:
    """The dashboard is gone; its charts are not."""
    rows, number = rows_of(end), str(end.parameters["dashboard"])
    gone = rows.gone(DASHBOARDS)
    links = [
        path for table in ("dashboard_user", "dashboard_slices") for path in linked(rows, table, "dashboard_id", gone)
    ]
    return {"removed": set(gone) == {number}, "no_side_effects": only(rows, *new_rows(DASHBOARDS, gone), *links)}


def chart_removed(end: Ending) -> Mapping[str, bool]:
    """The chart is gone, and no other one."""
    rows, number = rows_of(end), str(end.parameters["chart"])
    gone = rows.gone(CHARTS)
    links = [path for table in ("slice_user", "dashboard_slices") for path in linked(rows, table, "slice_id", gone)]
    return {"removed": set(gone) == {number}, "no_side_effects": only(rows, *new_rows(CHARTS, gone), *links)}


def chart_copied(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new chart, with the wanted name, of the kind and the dataset of the other one."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(CHARTS)
    found = [(row["slice_name"], row["viz_type"], of_dataset(row)) for row in new.values()]
    return {
        "copied": found == [(wanted["new_name"], wanted["kind"], wanted["dataset"])],
        "no_side_effects": only(rows, *new_rows(CHARTS, new), *linked(rows, "slice_user", "slice_id", new)),
    }


def layer_added(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new annotation layer, with the wanted name and description."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(LAYERS)
    return {
        "added": [(row["name"], row["descr"]) for row in new.values()] == [(wanted["name"], wanted["text"])],
        "no_side_effects": only(rows, *new_rows(LAYERS, new)),
    }


def removed(table: str) -> Check:
    """The row is gone, and no other one."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows = rows_of(end)
        gone = rows.gone(table)
        return {
            "removed": set(gone) == {str(end.parameters["row"])},
            "no_side_effects": only(rows, *new_rows(table, gone)),
        }

    return check


def query_run(end: Ending) -> Mapping[str, bool]:
    """The wanted query was run with success; others may have been run, too."""
    rows = rows_of(end)
    done = [row for row in rows.new(QUERIES).values() if row["status"] == "success"]
    return {
        "query_run": any(is_sql(row["sql"], end.parameters["sql"]) for row in done),
        "no_side_effects": only(rows),
    }


def query_saved(end: Ending) -> Mapping[str, bool]:
    """There is exactly one new saved query, with the wanted name and text."""
    rows, wanted = rows_of(end), end.parameters
    new = rows.new(SAVED)
    found = [row["label"] == wanted["label"] and is_sql(row["sql"], wanted["sql"]) for row in new.values()]
    return {"saved": found == [True], "no_side_effects": only(rows, *new_rows(SAVED, new))}


def rows_of(end: Ending) -> Rows:
    """The changes, without those that say the same in another way: a form that is saved rewrites all its fields."""
    return Rows(Changes(tuple(change for change in end.changes.all if not is_same(change))))


def is_same(change: Change) -> bool:
    """True if a column means the same before and after."""
    if change.path.count("/") < 2:
        return False
    plain = settings if change.path.endswith("/json_metadata") else text
    return plain(change.before) == plain(change.after)


def text(value: Any) -> Any:
    """A value, with one kind of empty text."""
    return None if value == "" else value


def settings(value: Any) -> Any:
    """A dashboard's settings without defaults and without the colours of labels; a cut text as it is."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return value
    return {key: one for key, one in found.items() if one and key not in COLOURS and DEFAULTS.get(key) != one}


def only(rows: Rows, *patterns: str) -> bool:
    """True if nothing changed but what fits a pattern, and the list of queries that were run: they can only read."""
    own = {key: row for key, row in rows.new(QUERIES).items() if row["user_id"] == ACTOR}
    return rows.only(*new_rows(QUERIES, own), *patterns)


def new_rows(table: str, rows: Mapping[str, Row]) -> list[str]:
    """Paths of whole rows."""
    return [f"{table}/{key}" for key in rows]


def columns_of(table: str, number: int, *columns: str) -> list[str]:
    """Paths of a row's columns."""
    return [f"{table}/{number}/{column}" for column in columns]


def linked(rows: Rows, table: str, column: str, to: Mapping[str, Row]) -> list[str]:
    """Paths of new or removed rows of a table that belong to rows of another one."""
    found = rows.new(table) | rows.gone(table)
    return new_rows(table, {key: row for key, row in found.items() if str(row[column]) in to})


def of_dataset(chart: Row) -> str:
    """Name of a chart's dataset, from its permission. Example: `[shop].[orders](id:4)` -> `orders`."""
    return str(chart["perm"]).rpartition("[")[2].partition("]")[0]


def is_sql(found: str, wanted: str) -> bool:
    """True for the same statement, with other spaces or a semicolon."""
    return " ".join(str(found).split()).rstrip("; ") == wanted


def _column_set(table: str, key: str, column: str, parameter: str, also: tuple[str, ...] = ()) -> Check:
    def check(end: Ending) -> Mapping[str, bool]:
        rows, number = rows_of(end), end.parameters[key]
        return {
            "changed_as_wanted": rows.changed(table, number).get(column) == end.parameters[parameter],
            "no_side_effects": only(rows, *columns_of(table, number, column, *also)),
        }

    return check
