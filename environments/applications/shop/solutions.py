"""Scripted solutions of the shop's templates: each looks at the page and says the next action."""

from agent.types import AgentAction, Answer
from browser_service.models import Observation
from environments.applications.shop.state import CATEGORIES
from environments.marks import click_named, fill, fill_form, find_named, named, page_of, query_of
from environments.tasks.templates import Parameters, Solve

DONE = Answer(text="done")


def open_page(observation: Observation, link: str, page: str) -> AgentAction | None:
    """The click on a link of the header, unless its page is open."""
    return None if page_of(observation) == page else click_named(observation, link, "link")


def open_product(parameters: Parameters, observation: Observation) -> AgentAction | None:
    """The next action on the way to the product's page, by a visible link or by the search; None on its page."""
    if page_of(observation) == "product.html" and query_of(observation).get("id") == parameters["product"]:
        return None
    if link := find_named(observation, parameters["name"], "link"):
        return click_named(observation, link.name, "link")
    return fill(named(observation, "Search"), parameters["name"], press_enter=True)


def by_category(parameters: Parameters, observation: Observation) -> AgentAction | None:
    """The next action on the way to the product's page, over its category; None on its page."""
    if page_of(observation) == "index.html":
        return click_named(observation, parameters["category"], "link")
    return open_product(parameters, observation)


def add_to_cart(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Product page, quantity, cart."""
    if page_of(observation) == "cart.html":
        return DONE
    wanted = {"Quantity": str(parameters.get("quantity", 1))}
    return open_product(parameters, observation) or fill_form(observation, wanted, "Add to cart")


def cheapest_to_cart(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The same, over the category."""
    if page_of(observation) == "cart.html":
        return DONE
    return by_category(parameters, observation) or fill_form(observation, {"Quantity": "1"}, "Add to cart")


def add_wish(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Product page, then the wish list."""
    if page_of(observation) == "wishes.html":
        return DONE
    return open_product(parameters, observation) or click_named(observation, "Add to wish list", "button")


def best_to_wishes(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The same, over the category."""
    if page_of(observation) == "wishes.html":
        return DONE
    return by_category(parameters, observation) or click_named(observation, "Add to wish list", "button")


def review(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Product page, its form; the page after it is the same, with the fields empty and other steps taken."""
    if (way := open_product(parameters, observation)) is not None:
        return way
    wanted = {"Stars": str(parameters["stars"]), "Review": parameters["text"]}
    action = fill_form(observation, wanted, "Send review")
    return DONE if step > STEPS_OF_A_REVIEW else action


STEPS_OF_A_REVIEW = 4
"""Search, link, two fields, button: from the next step on the review is sent."""


def remove(link: str, page: str) -> Solve:
    """Removes a product from the list of this page."""

    def solve(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
        if way := open_page(observation, link, page):
            return way
        button = find_named(observation, f"Remove {parameters['name']}", "button")
        return click_named(observation, button.name, "button") if button else DONE

    return solve


def set_quantity(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The field in the cart; the button, two steps after the cart was opened."""
    if way := open_page(observation, "Cart", "cart.html"):
        return way
    name = parameters["name"]
    wanted = {f"Quantity of {name}": str(parameters["quantity"])}
    return DONE if step > 2 else fill_form(observation, wanted, f"Update {name}")


def profile(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The account form: a field to fill or a box to toggle, then the button."""
    if way := open_page(observation, "Account", "account.html"):
        return way
    return DONE if step > 2 else fill_form(observation, parameters["fields"], "Save profile")


def add_address(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The address form, until the new label has a button."""
    if way := open_page(observation, "Account", "account.html"):
        return way
    fields = parameters["address"]
    if find_named(observation, f"Remove {fields['Label']}", "button"):
        return DONE
    return fill_form(observation, fields, "Add address")


def message(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The contact form: link, two fields, button."""
    if way := open_page(observation, "Contact", "contact.html"):
        return way
    wanted = {"Subject": parameters["subject"], "Message": parameters["text"]}
    return DONE if step > 3 else fill_form(observation, wanted, "Send message")


def cancel(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Orders, the order, its button."""
    if page_of(observation) != "order.html":
        way = open_page(observation, "Orders", "orders.html")
        return way or click_named(observation, f"Order {parameters['order']}", "link")
    button = find_named(observation, "Cancel order", "button")
    return click_named(observation, button.name, "button") if button else DONE


def check_out(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Cart, coupon if there is one, address and delivery."""
    match page_of(observation):
        case "order.html":
            return DONE
        case "checkout.html":
            wanted = {"Address": parameters["address"], "Delivery": parameters["delivery"]}
            return fill_form(observation, wanted, "Place order")
        case "cart.html" if step < 3 and parameters.get("coupon"):
            return fill_form(observation, {"Coupon": parameters["coupon"]}, "Apply coupon")
        case "cart.html":
            return click_named(observation, "Check out", "link")
        case _:
            return click_named(observation, "Cart", "link")


def buy(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Product page, Buy now, address and delivery."""
    if page_of(observation) in ("checkout.html", "order.html"):
        return check_out(parameters, observation, step)
    return open_product(parameters, observation) or click_named(observation, "Buy now", "link")


def tell_price(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Product page, then the price, which is known to the script."""
    return open_product(parameters, observation) or Answer(text=parameters["answer"])


def tell_total(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Orders, the order, then its total."""
    if page_of(observation) == "order.html":
        return Answer(text=parameters["answer"])
    way = open_page(observation, "Orders", "orders.html")
    return way or click_named(observation, f"Order {parameters['order']}", "link")


def tell_count(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """The category, then the number of products."""
    assert parameters["category"] in CATEGORIES
    way = open_page(observation, parameters["category"], "products.html")
    return way or Answer(text=parameters["answer"])
