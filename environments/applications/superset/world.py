"""Superset's start state: people, datasets, charts, dashboards and notes on the shop's sales."""

import hashlib
import hmac
import json
import random
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from environments.applications.superset.sales import COUNTRIES, PRODUCTS, tables

ACTOR = "Robin Vale"
"""The analyst who is signed in, with the roles Alpha and sql_lab."""
PEOPLE = (ACTOR, "Ada Lund", "Bruno Weiss", "Chiara Moro", "Dov Amsel", "Elena Castro")
SECRET = "superset is reached from this machine only"
SIGNED_AT = 1_735_689_600
"""Seconds since 1970 of the session's signature; Superset is set to accept it for a century."""
DATASETS = ("customers", "order_details", "order_lines", "orders", "products", "sold_lines")
DETAILS = (
    "SELECT o.id, o.ordered_on, o.status, o.channel, o.total, c.name AS customer, c.country, c.city, c.segment "
    "FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id"
)
LINES = (
    "SELECT l.id, o.ordered_on, p.name AS product, p.category, l.quantity, l.quantity * l.unit_price AS amount "
    "FROM shop.order_lines l JOIN shop.orders o ON o.id = l.order_id JOIN shop.products p ON p.id = l.product_id"
)
VIRTUAL = {"order_details": DETAILS, "sold_lines": LINES}
"""Datasets that are a query; the others are a table."""
USED_LAYERS = ("Holidays", "Price changes", "Campaigns")
"""Annotation layers with annotations, which Superset does not delete."""
EMPTY_LAYERS = ("Supply problems", "Shop openings", "Weather", "Deliveries", "Trade fairs", "Staff changes")
LAYERS = (*USED_LAYERS, *EMPTY_LAYERS)
EVENTS = ("Easter sale", "New catalogue", "Strike at the harbour", "Summer break", "Anniversary", "Stocktaking")
STYLES = ("Large numbers", "Dark header", "Wide tables", "Print version", "Quiet colours", "Round corners")
QUERIES = {
    "Orders per country": "SELECT country, count(*) FROM shop.customers GROUP BY country",
    "Open orders": "SELECT id, total FROM shop.orders WHERE status = 'open'",
    "Low stock": "SELECT name, stock FROM shop.products WHERE stock < 20",
    "Web orders in May": "SELECT * FROM shop.orders WHERE channel = 'Web' AND ordered_on >= '2025-05-01'",
    "Schools in Poland": "SELECT name FROM shop.customers WHERE segment = 'School' AND country = 'Poland'",
    "Dearest products": "SELECT name, price FROM shop.products ORDER BY price DESC LIMIT 5",
    "Returned orders": "SELECT id FROM shop.orders WHERE status = 'returned'",
    "Newest customers": "SELECT name, joined_on FROM shop.customers ORDER BY joined_on DESC LIMIT 20",
}


class Chart(BaseModel):
    """A chart. Example: `Chart(id=3, name="Orders from Poland", kind="big_number_total", about="Poland", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: int
    name: str
    kind: str
    dataset: str
    about: str
    """The country or category that it is about; empty for all."""
    settings: dict[str, Any]
    """Superset's form data."""
    owners: tuple[str, ...]


class Dashboard(BaseModel):
    """A dashboard. Example: `Dashboard(id=2, title="Poland: customers", about="Poland", charts=(5, 17), ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: int
    title: str
    about: str
    charts: tuple[int, ...]
    published: bool
    owners: tuple[str, ...]


class Analytics(BaseModel):
    """The start state as the task templates see it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    charts: tuple[Chart, ...]
    dashboards: tuple[Dashboard, ...]

    def chart(self, name: str) -> Chart:
        """The chart with this name."""
        return next(chart for chart in self.charts if chart.name == name)


@lru_cache(maxsize=1)
def analytics() -> Analytics:
    """The start state: 43 charts on 22 dashboards."""
    rng = random.Random("superset 1")
    charts = [
        chart.model_copy(update={"id": number, "owners": owners(rng)}) for number, chart in enumerate(all_charts(), 1)
    ]
    topics = [(f"{name}: orders", name) for name in COUNTRIES]
    topics += [(f"{name}: products", name) for name in PRODUCTS]
    topics += [("All channels", ""), ("Whole year", "")]
    common = [chart.id for chart in charts if not chart.about]
    dashboards = [
        Dashboard(
            id=number,
            title=title,
            about=about,
            charts=tuple([chart.id for chart in charts if chart.about == about] if about else common),
            published=number % 3 != 0,
            owners=owners(rng),
        )
        for number, (title, about) in enumerate(topics, start=1)
    ]
    return Analytics(charts=tuple(charts), dashboards=tuple(dashboards))


def owners(rng: random.Random) -> tuple[str, ...]:
    """The person who is signed in, and one other: who owns a thing may change it."""
    return (ACTOR, rng.choice(PEOPLE[1:]))


def all_charts() -> list[Chart]:
    """The charts without ids and owners."""
    count, units, revenue = (
        metric("COUNT(*)", "orders"),
        metric("SUM(quantity)", "units"),
        metric("SUM(total)", "euros"),
    )
    made: list[Chart] = []

    def add(name: str, kind: str, dataset: str, about: str = "", **settings: Any) -> None:
        made.append(Chart(id=0, name=name, kind=kind, dataset=dataset, about=about, settings=settings, owners=(ACTOR,)))

    for country in COUNTRIES:
        only = [is_equal("country", country)]
        add(
            *(f"Orders from {country}", "big_number_total", "order_details", country),
            **{"metric": count, "adhoc_filters": only, "y_axis_format": ",d"},
        )
        add(
            *(f"Best customers of {country}", "table", "order_details", country),
            **table(["customer"], [revenue, count]) | {"adhoc_filters": only},
        )
    for category in PRODUCTS:
        only = [is_equal("category", category)]
        add(
            *(f"Units sold: {category}", "big_number_total", "sold_lines", category),
            **{"metric": units, "adhoc_filters": only, "y_axis_format": ",d"},
        )
        add(
            *(f"Best sellers: {category}", "table", "sold_lines", category),
            **table(["product"], [units]) | {"adhoc_filters": only},
        )
    add("Orders by status", "table", "orders", **table(["status"], [count]))
    add("Orders by channel", "pie", "orders", groupby=["channel"], metric=count, show_legend=True)
    add("Orders per month", "echarts_timeseries_bar", "orders", **over_time(count))
    return made


def metric(sql: str, label: str) -> dict[str, Any]:
    """A metric of a chart. The option's name is fixed, so that the rows are the same in every installation."""
    return {"expressionType": "SQL", "sqlExpression": sql, "label": label, "optionName": f"metric_{label}"}


def is_equal(column: str, value: str) -> dict[str, Any]:
    """A filter of a chart."""
    return {
        "clause": "WHERE",
        "expressionType": "SIMPLE",
        "subject": column,
        "operator": "==",
        "operatorId": "EQUALS",
        "comparator": value,
    }


def table(by: list[str], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings of a table with the greatest first."""
    return {
        "query_mode": "aggregate",
        "groupby": by,
        "metrics": metrics,
        "timeseries_limit_metric": metrics[0],
        "order_desc": True,
        "row_limit": 100,
        "server_page_length": 10,
        "column_config": {
            "euros": {"d3NumberFormat": ",.2f"},
            "orders": {"d3NumberFormat": ",d"},
            "units": {"d3NumberFormat": ",d"},
        },
    }


def over_time(counted: dict[str, Any]) -> dict[str, Any]:
    """Settings of bars by month."""
    return {"x_axis": "ordered_on", "time_grain_sqla": "P1M", "metrics": [counted], "groupby": [], "row_limit": 1_000}


@lru_cache(maxsize=1)
def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON."""
    found = analytics()
    return {
        "people": list(PEOPLE),
        "tables": tables(),
        "datasets": list(DATASETS),
        "virtual": VIRTUAL,
        "charts": [chart.model_dump(mode="json") for chart in found.charts],
        "dashboards": [dashboard.model_dump(mode="json") for dashboard in found.dashboards],
        # Lists, because the keys of objects are sorted, and ids follow the order.
        "layers": [[name, list(EVENTS) if name in USED_LAYERS else []] for name in LAYERS],
        "styles": list(STYLES),
        "queries": [[label, sql] for label, sql in QUERIES.items()],
    }


def session() -> str:
    """Cookie of a session in which the first of `PEOPLE` is signed in, as Flask signs it."""
    text = json.dumps({"_fresh": True, "_user_id": "1"}, separators=(",", ":"))
    signed = f"{_text(text.encode())}.{_text(SIGNED_AT.to_bytes(4, 'big'))}"
    key = hmac.new(SECRET.encode(), b"cookie-session", hashlib.sha1).digest()
    return f"{signed}.{_text(hmac.new(key, signed.encode(), hashlib.sha1).digest())}"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
