"""Fills Superset's database, and the shop's tables beside it, with the data of a file."""

import json
import os
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2
from connections import ANALYST, OWNER, address
from psycopg2.extras import execute_values
from superset.app import create_app

world = json.loads(Path(sys.argv[1]).read_text())
NOW = datetime(2026, 1, 5, 9)
COLUMNS = {
    "customers": "name text, email text, country text, city text, segment text, joined_on date",
    "products": "name text, category text, price numeric(10, 2), stock int",
    "orders": "customer_id int, ordered_on date, status text, channel text, total numeric(10, 2)",
    "order_lines": "order_id int, product_id int, quantity int, unit_price numeric(10, 2)",
}
OTHER_COLUMNS = "name text, city text, added_on date"
PASSWORD = "password1"


def fill_shop() -> None:
    """Makes the shop's tables, which the analyst's role may read."""
    database = os.environ["RL_LOOP_DATABASE"]
    with psycopg2.connect(host=os.environ["RL_LOOP_POSTGRES"], user=OWNER, dbname=database) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE SCHEMA shop")
        for table, rows in world["tables"].items():
            cursor.execute(f"CREATE TABLE shop.{table} (id int PRIMARY KEY, {COLUMNS.get(table, OTHER_COLUMNS)})")
            execute_values(cursor, f"INSERT INTO shop.{table} VALUES %s", rows, page_size=1_000)
        cursor.execute(f"CREATE ROLE {ANALYST} LOGIN")
        cursor.execute(f"GRANT USAGE ON SCHEMA shop TO {ANALYST}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {ANALYST}")
        cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        cursor.execute(f"ALTER ROLE {ANALYST} SET statement_timeout = '15s'")
        cursor.execute(f"ALTER ROLE {ANALYST} SET default_transaction_read_only = on")


fill_shop()
app = create_app()
with app.app_context():
    from superset import db, security_manager
    from superset.connectors.sqla.models import SqlaTable, SqlMetric
    from superset.models.annotations import Annotation, AnnotationLayer
    from superset.models.core import CssTemplate, Database
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice
    from superset.models.sql_lab import SavedQuery

    def keep(thing: object, kind: str, place: int, by: object) -> object:
        """Stores a thing that one of the people made some days ago, the first of a kind longest ago."""
        at = NOW - timedelta(days=400 - place)
        thing.created_on = thing.changed_on = at
        thing.created_by = thing.changed_by = by
        if hasattr(thing, "uuid"):
            thing.uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}-{place}.example.com")
        db.session.add(thing)
        db.session.flush()
        return thing

    def people() -> dict:
        """Makes the people; the first one is signed in."""
        roles = [security_manager.find_role(name) for name in ("Alpha", "sql_lab")]
        made = {}
        for name in world["people"]:
            first, last = name.split()
            user = security_manager.add_user(
                first.lower(), first, last, f"{first.lower()}@example.com", roles, password=PASSWORD
            )
            user.login_count, user.last_login = 1, NOW
            made[name] = user
        return made

    def datasets(shop: Database, owner: object) -> dict:
        """Makes the datasets with their columns and metrics."""
        made = {}
        for place, name in enumerate(world["datasets"]):
            dataset = SqlaTable(table_name=name, schema="shop", database=shop, sql=world["virtual"].get(name))
            dataset.owners = [owner]
            keep(dataset, "dataset", place, owner)
            dataset.fetch_metadata()
            if not dataset.metrics:
                dataset.metrics.append(SqlMetric(metric_name="count", expression="COUNT(*)"))
            made[name] = keep(dataset, "dataset", place, owner)
        return made

    def charts(people: dict, datasets: dict) -> dict:
        """Makes the charts."""
        made = {}
        for place, one in enumerate(world["charts"]):
            dataset, by = datasets[one["dataset"]], people[one["owners"][-1]]
            form = {"datasource": f"{dataset.id}__table", "viz_type": one["kind"], **one["settings"]}
            chart = Slice(
                slice_name=one["name"],
                viz_type=one["kind"],
                datasource_type="table",
                datasource_id=dataset.id,
                params=json.dumps(form),
                last_saved_at=NOW - timedelta(days=400 - place),
                last_saved_by=by,
            )
            chart.owners = [people[name] for name in one["owners"]]
            made[one["id"]] = keep(chart, "chart", place, by)
        return made

    def dashboards(people: dict, charts: dict) -> None:
        """Makes the dashboards, with two charts in a row."""
        for place, one in enumerate(world["dashboards"]):
            by = people[one["owners"][-1]]
            board = Dashboard(
                dashboard_title=one["title"],
                published=one["published"],
                position_json=json.dumps(layout(one["title"], [charts[number] for number in one["charts"]])),
                json_metadata="{}",
                slices=[charts[number] for number in one["charts"]],
            )
            board.owners = [people[name] for name in one["owners"]]
            keep(board, "dashboard", place, by)

    def layout(title: str, inside: list) -> dict:
        """Layout of a dashboard: the position of each chart."""
        rows = [inside[place : place + 2] for place in range(0, len(inside), 2)]
        names = [f"ROW-{number}" for number in range(len(rows))]
        found = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": names, "parents": ["ROOT_ID"]},
            "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": title}},
        }
        for name, row in zip(names, rows, strict=True):
            parents = ["ROOT_ID", "GRID_ID"]
            found[name] = {
                "id": name,
                "type": "ROW",
                "children": [f"CHART-{chart.id}" for chart in row],
                "parents": parents,
                "meta": {"background": "BACKGROUND_TRANSPARENT"},
            }
            for chart in row:
                found[f"CHART-{chart.id}"] = {
                    "id": f"CHART-{chart.id}",
                    "type": "CHART",
                    "children": [],
                    "parents": [*parents, name],
                    "meta": {
                        "chartId": chart.id,
                        "sliceName": chart.slice_name,
                        "uuid": str(chart.uuid),
                        "width": 6,
                        "height": 50,
                    },
                }
        return found

    def notes(shop: Database, owner: object) -> None:
        """Makes annotation layers with annotations, CSS templates and saved queries."""
        for place, (name, events) in enumerate(world["layers"]):
            layer = keep(AnnotationLayer(name=name, descr=f"{name} of 2025"), "layer", place, owner)
            for number, event in enumerate(events):
                at = datetime(2025, 1 + number * 2, 3 + place)
                annotation = Annotation(layer=layer, short_descr=event, start_dttm=at, end_dttm=at + timedelta(days=4))
                keep(annotation, "annotation", place * 100 + number, owner)
        for place, name in enumerate(world["styles"]):
            css = f".header-title {{ font-size: {20 + place}px; }}"
            keep(CssTemplate(template_name=name, css=css), "style", place, owner)
        for place, (label, sql) in enumerate(world["queries"]):
            query = SavedQuery(label=label, sql=sql, schema="shop", database=shop, user=owner)
            keep(query, "query", place, owner)

    owners = people()
    actor = owners[world["people"][0]]
    database = Database(database_name="shop", sqlalchemy_uri=address(ANALYST), expose_in_sqllab=True)
    # The address of this installation's server is not that of an episode's; the connections don't use it.
    database.sqlalchemy_uri = f"postgresql+psycopg2://{ANALYST}@localhost/shop"
    keep(database, "database", 0, actor)
    dashboards(owners, charts(owners, datasets(database, actor)))
    notes(database, actor)
    db.session.commit()
    found = {
        "people": [(user.id, f"{user.first_name} {user.last_name}") for user in owners.values()],
        "charts": [(row.id, row.slice_name) for row in db.session.query(Slice).order_by(Slice.id)],
        "dashboards": [(row.id, row.dashboard_title) for row in db.session.query(Dashboard).order_by(Dashboard.id)],
        "datasets": [(row.id, row.table_name) for row in db.session.query(SqlaTable).order_by(SqlaTable.id)],
        "layers": [(row.id, row.name) for row in db.session.query(AnnotationLayer).order_by(AnnotationLayer.id)],
        "styles": [(row.id, row.template_name) for row in db.session.query(CssTemplate).order_by(CssTemplate.id)],
        "queries": [(row.id, row.label) for row in db.session.query(SavedQuery).order_by(SavedQuery.id)],
    }
expected = {
    "people": list(enumerate(world["people"], start=1)),
    "charts": [(one["id"], one["name"]) for one in world["charts"]],
    "dashboards": [(one["id"], one["title"]) for one in world["dashboards"]],
    **{kind: list(enumerate(world[kind], start=1)) for kind in ("datasets", "styles")},
    **{kind: list(enumerate((name for name, _ in world[kind]), start=1)) for kind in ("layers", "queries")},
}
for kind, rows in expected.items():
    # The tasks know rows by their ids.
    if found[kind] != rows:
        sys.exit(f"expected the {kind} {rows[:2]}..., found {found[kind][:2]}...")
