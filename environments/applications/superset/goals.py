"""Goals of Superset's tasks: each draws a dashboard, a chart or a question about the sales, and what is to be done."""

import random
from collections.abc import Callable, Sequence

from environments.applications.superset.sales import CHANNELS, COUNTRIES, PRODUCTS, in_euros, sales
from environments.applications.superset.world import (
    ACTOR,
    EMPTY_LAYERS,
    LAYERS,
    QUERIES,
    STYLES,
    Analytics,
    Chart,
    Dashboard,
)
from environments.tasks.templates import Fill, Filled, Parameters

TITLES = ("Monthly review", "Board meeting", "Team targets", "Weekly figures", "Budget 2026", "Trade fair", "Open day")
NAMES = ("Numbers of the day", "First look", "Key figure", "For the report", "Sales at a glance", "Comparison")
TEXTS = (
    *("Checked by the sales team.", "Shown on the screen at the entrance.", "Figures without cancelled lines."),
    *("Ask Elena before changing this.", "Used in the annual report.", "Compare it with last year."),
)
CERTIFIERS = ("Finance team", "Sales office", "Data desk", "Head of sales", "Audit group")
STATUSES = ("delivered", "returned", "shipped", "cancelled", "open")
More = Callable[[random.Random], Parameters]
ChooseChart = Callable[[random.Random, Analytics], Chart]
ChooseDashboard = Callable[[random.Random, Analytics], Dashboard]


def nothing(rng: random.Random) -> Parameters:
    """No further parameters."""
    return {}


def one_of(name: str, values: Sequence[str], ending: Sequence[str] = ()) -> More:
    """A parameter with one of the values, and one of the endings after it."""
    return lambda rng: {name: f"{rng.choice(values)} {rng.choice(ending)}" if ending else rng.choice(values)}


A_TITLE = one_of("new_title", TITLES, tuple(COUNTRIES))
A_NAME = one_of("new_name", NAMES, tuple(str(number) for number in range(1, 21)))
A_TEXT = one_of("text", TEXTS)
A_CERTIFIER = one_of("certifier", CERTIFIERS)


def a_slug(rng: random.Random) -> Parameters:
    """A slug for a dashboard's address."""
    return {"slug": f"{rng.choice(('board', 'figures', 'review'))}-{rng.randrange(100, 1_000)}"}


def about_dashboard(
    choose: ChooseDashboard, goal: str, more: More = nothing, *, answer: Callable[[Dashboard], str] | None = None
) -> Fill:
    """Fills a goal about a dashboard that is chosen from the start state, and the first of its charts."""

    def fill(rng: random.Random, start: Analytics) -> Filled:
        board = choose(rng, start)
        shown = next(chart for chart in start.charts if chart.id == board.charts[0])
        parameters: Parameters = {
            "dashboard": board.id,
            "title": board.title,
            "chart_name": shown.name,
        }
        parameters |= more(rng) | ({"answer": answer(board)} if answer else {})
        return Filled(goal.format(**parameters), parameters)

    return fill


def about_chart(
    choose: ChooseChart, goal: str, more: More = nothing, *, answer: Callable[[Chart], str] | None = None
) -> Fill:
    """Fills a goal about a chart that is chosen from the start state."""

    def fill(rng: random.Random, start: Analytics) -> Filled:
        chart = choose(rng, start)
        parameters: Parameters = {
            "chart": chart.id,
            "name": chart.name,
            "kind": chart.kind,
            "dataset": chart.dataset,
            "what": "customer" if chart.dataset == "order_details" else "product",
        }
        parameters |= more(rng) | ({"answer": answer(chart)} if answer else {})
        return Filled(goal.format(**parameters), parameters)

    return fill


def any_dashboard(rng: random.Random, start: Analytics) -> Dashboard:
    """Any dashboard."""
    return rng.choice(start.dashboards)


def topical(rng: random.Random, start: Analytics) -> Dashboard:
    """A dashboard about a country or a category: its charts are on no other one."""
    return rng.choice([board for board in start.dashboards if board.about])


def draft(rng: random.Random, start: Analytics) -> Dashboard:
    """A draft about a country or a category."""
    return rng.choice([board for board in start.dashboards if board.about and not board.published])


def published(rng: random.Random, start: Analytics) -> Dashboard:
    """A published dashboard."""
    return rng.choice([board for board in start.dashboards if board.published])


def any_chart(rng: random.Random, start: Analytics) -> Chart:
    """Any chart."""
    return rng.choice(start.charts)


def number_chart(rng: random.Random, start: Analytics) -> Chart:
    """A chart that shows one number."""
    return rng.choice([chart for chart in start.charts if chart.kind == "big_number_total"])


def ranking(rng: random.Random, start: Analytics) -> Chart:
    """A chart that shows a table with the greatest first, without a tie at its top."""
    return rng.choice([chart for chart in start.charts if chart.kind == "table" and chart.about and is_clear(chart)])


def is_clear(chart: Chart) -> bool:
    """True if the first three values of a ranking differ."""
    values = [value for _, value in ranked(chart)[:3]]
    return len(set(values)) == 3


def ranked(chart: Chart) -> list[tuple[str, int]]:
    """Rows of a ranking as the chart shows them, the greatest first."""
    found = sales()
    if chart.about in COUNTRIES:
        values = found.revenue_by_customer(chart.about)
    else:
        units = found.units()
        values = {product.name: units[product.name] for product in found.products if product.category == chart.about}
    return sorted(values.items(), key=lambda pair: -pair[1])


def other_owner(board: Dashboard) -> str:
    """The owner beside the person who is signed in."""
    return board.owners[-1]


def dataset_of(chart: Chart) -> str:
    """Name of the dataset of a chart."""
    return chart.dataset


def number_of(chart: Chart) -> str:
    """The number that a chart shows."""
    found = sales()
    return str(len(found.orders_from(chart.about)) if chart.about in COUNTRIES else found.units_of(chart.about))


def place(number: int) -> Callable[[Chart], str]:
    """The name at a place, from 0, of a ranking."""
    return lambda chart: ranked(chart)[number][0]


def orders_counted(rng: random.Random, start: Analytics) -> Filled:
    """The number of orders with a status over a channel from a country."""
    country, status, channel = rng.choice(list(COUNTRIES)), rng.choice(STATUSES), rng.choice(CHANNELS)
    count = sum(order.status == status and order.channel == channel for order in sales().orders_from(country))
    goal = (
        f"How many orders with the status {status} came over the channel {channel} from customers in {country}? "
        "The dataset order_details and the tables of the schema shop in SQL Lab tell it. Answer with the number."
    )
    return Filled(goal, {"country": country, "status": status, "channel": channel, "answer": str(count)})


def customers_counted(rng: random.Random, start: Analytics) -> Filled:
    """The number of customers of a segment in a city."""
    customer = rng.choice(sales().customers)
    same = [one for one in sales().customers if (one.city, one.segment) == (customer.city, customer.segment)]
    goal = (
        f"How many customers of the segment {customer.segment} live in {customer.city}? "
        "The table customers of the schema shop in SQL Lab tells it. Answer with the number."
    )
    return Filled(goal, {"city": customer.city, "segment": customer.segment, "answer": str(len(same))})


def product_priced(rng: random.Random, start: Analytics) -> Filled:
    """The price of a product."""
    product = rng.choice(sales().products)
    goal = (
        f'What is the price of the product "{product.name}"? '
        "The table products of the schema shop in SQL Lab tells it. Answer with the number."
    )
    return Filled(goal, {"product": product.name, "answer": in_euros(product.price)})


def a_query(goal: str) -> Fill:
    """Fills a goal about a query with a label."""

    def fill(rng: random.Random, start: Analytics) -> Filled:
        name = rng.choice([name for names in PRODUCTS.values() for name in names])
        table, where = rng.choice(
            (
                ("customers", f"country = '{rng.choice(list(COUNTRIES))}'"),
                ("orders", f"channel = '{rng.choice(CHANNELS)}' AND total > {rng.randrange(100, 900, 50)}"),
                ("products", f"category = '{rng.choice(list(PRODUCTS))}'"),
                ("products", f"name = '{name}'"),
            )
        )
        parameters: Parameters = {
            "sql": f"SELECT count(*) FROM shop.{table} WHERE {where}",
            "label": f"{rng.choice(NAMES)} {rng.randrange(10, 100)}",
        }
        return Filled(goal.format(**parameters), parameters)

    return fill


def named_thing(goal: str, names: Sequence[str], among: Sequence[str], more: More = nothing) -> Fill:
    """Fills a goal about a thing whose id is its place in `among`."""

    def fill(rng: random.Random, start: Analytics) -> Filled:
        name = rng.choice(names)
        parameters: Parameters = {"row": list(among).index(name) + 1, "name": name} | more(rng)
        return Filled(goal.format(**parameters), parameters)

    return fill


def a_layer(goal: str, *, empty: bool = False, more: More = nothing) -> Fill:
    """Fills a goal about an annotation layer."""
    return named_thing(goal, EMPTY_LAYERS if empty else LAYERS, LAYERS, more)


def a_saved_query(goal: str) -> Fill:
    """Fills a goal about a saved query."""
    return named_thing(goal, tuple(QUERIES), tuple(QUERIES))


def a_style(goal: str) -> Fill:
    """Fills a goal about a CSS template."""
    return named_thing(goal, STYLES, STYLES)


def new(goal: str, more: More) -> Fill:
    """Fills a goal about a new thing."""

    def fill(rng: random.Random, start: Analytics) -> Filled:
        parameters = more(rng)
        return Filled(goal.format(**parameters), parameters)

    return fill


def a_new_layer(rng: random.Random) -> Parameters:
    """Name and description of a layer."""
    return {"name": f"{rng.choice(TITLES)} {rng.randrange(2, 30)}", "text": rng.choice(TEXTS)}


SHARED = f'Who owns the dashboard "{{title}}" together with {ACTOR}? Answer with the full name.'
