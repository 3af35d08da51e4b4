"""The ticket office's task templates. Those of the held-out split ask for other things than those for training."""

from environments.applications.hosted.making import made
from environments.applications.pretix import checks, goals, solutions
from environments.applications.pretix.goals import a_product, a_voucher, an_extreme, an_order, of_event, the_answer

ANSWERED = "The answer is what the page shows."


TRAIN = (
    made(
        *("tell-product-price", "train", 1),
        of_event("What is the default price of the product {name} of {event}, in EUR?", a_product(goals.the_price)),
        *(checks.number_answered, solutions.READ_PRODUCT, ANSWERED),
    ),
    made(
        *("add-product-category", "train", 1),
        of_event('Add the product category "{name}" to {event}.', goals.a_name(goals.NEW_CATEGORIES)),
        *(checks.added(checks.CATEGORIES, name="name"), solutions.ADD_CATEGORY, "The event has the new category."),
    ),
    made(
        *("tell-order-email", "train", 1),
        of_event(
            "Which e-mail address has the order {code} of {event}?",
            an_order("pnce", the_answer(lambda order: order.email)),
        ),
        *(checks.text_answered, solutions.READ_ORDER, ANSWERED),
    ),
    made(
        *("comment-order", "train", 2),
        of_event(
            "Set the internal comment of the order {code} of {event} to exactly: {text}",
            an_order("pnce", goals.a_comment),
        ),
        *(
            checks.column_set(checks.ORDERS, "order", "comment", "text"),
            solutions.COMMENT,
            "The order has exactly this internal comment.",
        ),
    ),
    made(
        *("change-order-email", "train", 2),
        of_event(
            "Change the e-mail address of the order {code} of {event} to {new_email}.", an_order("pn", goals.an_email)
        ),
        *(
            checks.column_set(checks.ORDERS, "order", "email", "new_email"),
            solutions.CHANGE_EMAIL,
            "The order has the new e-mail address.",
        ),
    ),
    made(
        *("rename-product", "train", 2),
        of_event('Rename the product {name} of {event} to "{new_name}".', a_product(goals.another_name)),
        *(
            checks.column_set(checks.ITEMS, "product", "name", "new_name"),
            solutions.RENAME,
            "The product has the new name.",
        ),
    ),
    made(
        *("change-product-price", "train", 2),
        of_event(
            "Set the default price of the product {name} of {event} to {price} EUR.", a_product(goals.another_price)
        ),
        *(
            checks.column_set(checks.ITEMS, "product", "default_price", "price"),
            solutions.SET_PRICE,
            "The product has the new price.",
        ),
    ),
    made(
        *("set-quota-size", "train", 2),
        of_event("Set the total capacity of the quota {name} of {event} to {size}.", goals.a_quota),
        *(
            checks.column_set(checks.QUOTAS, "quota", "size", "size"),
            solutions.SET_QUOTA,
            "The quota has the new capacity.",
        ),
    ),
    made(
        *("add-voucher", "train", 2),
        of_event(
            "Add a voucher with the code {code} and {uses} maximum usages to {event}, all else as proposed.",
            goals.a_new_voucher,
        ),
        *(
            checks.added(checks.VOUCHERS, code="code", max_usages="uses"),
            solutions.ADD_VOUCHER,
            "The event has the new voucher with these usages.",
        ),
    ),
    made(
        *("add-check-in-list", "train", 2),
        of_event('Add the check-in list "{name}" to {event}, all else as proposed.', goals.a_name(goals.LISTS)),
        *(checks.added(checks.LISTS, name="name"), solutions.ADD_LIST, "The event has the new check-in list."),
    ),
    made(
        *("mark-order-paid", "train", 3),
        of_event("The order {code} of {event} was paid in full today: mark it as paid.", an_order("n", goals.nothing)),
        *(checks.paid, solutions.MARK_PAID, "The order is paid."),
    ),
    made(
        *("find-order-of-email", "train", 3),
        of_event(
            "Which order of {event} has the e-mail address {email}? Answer with its code.",
            an_order("pnce", the_answer(lambda order: order.code)),
        ),
        *(checks.text_answered, solutions.SEARCH, ANSWERED),
    ),
    made(
        *("change-price-of-dearest", "train", 3),
        of_event(
            "Set the default price of the most expensive product of {event} in the category {category} to {price} EUR.",
            an_extreme(goals.dearest, goals.another_price),
        ),
        *(
            checks.column_set(checks.ITEMS, "product", "default_price", "price"),
            solutions.SET_PRICE,
            "The product that was the most expensive of its category has the new price.",
        ),
    ),
    made(
        *("count-orders-of-status", "train", 3),
        of_event("How many orders of {event} are {word}? Answer with the number.", goals.a_count),
        *(checks.number_answered, solutions.READ_ORDERS, ANSWERED),
    ),
)
HELDOUT = (
    made(
        *("tell-total-of-order", "heldout", 1),
        of_event(
            "What is the total of the order {code} of {event}, in EUR?",
            an_order("pnce", the_answer(lambda order: f"{order.total / 100:.2f}")),
        ),
        *(checks.number_answered, solutions.READ_ORDER, ANSWERED),
    ),
    made(
        *("rename-product-category", "heldout", 2),
        of_event('Rename the product category {old} of {event} to "{name}".', goals.a_category),
        *(
            checks.column_set(checks.CATEGORIES, "category", "name", "name"),
            solutions.RENAME_CATEGORY,
            "The category has the new name.",
        ),
    ),
    made(
        *("tell-quota-size", "heldout", 2),
        of_event("What is the total capacity of the quota {name} of {event}? Answer with the number.", goals.a_quota),
        *(checks.number_answered, solutions.READ_QUOTA, ANSWERED),
    ),
    made(
        *("deactivate-product", "heldout", 2),
        of_event("Deactivate the product {name} of {event}.", a_product(goals.nothing)),
        *(checks.deactivated, solutions.DEACTIVATE, "The product is not active."),
    ),
    made(
        *("set-voucher-uses", "heldout", 2),
        of_event("Set the maximum usages of the voucher {code} of {event} to {uses}.", a_voucher(goals.other_uses)),
        *(
            checks.column_set(checks.VOUCHERS, "voucher", "max_usages", "uses"),
            solutions.SET_USES,
            "The voucher has the new number of usages.",
        ),
    ),
    made(
        *("delete-voucher", "heldout", 2),
        of_event("Delete the voucher {code} of {event}.", a_voucher(goals.nothing)),
        *(checks.removed, solutions.REMOVE_VOUCHER, "The voucher is gone from the list."),
    ),
    made(
        *("cancel-unpaid-order", "heldout", 3),
        of_event("Cancel the order {code} of {event}, which is not paid.", an_order("n", goals.nothing)),
        *(checks.canceled, solutions.CANCEL, "The order is canceled."),
    ),
    made(
        *("rename-cheapest-product", "heldout", 3),
        of_event(
            'Rename the cheapest product of {event} in the category {category} to "{new_name}".',
            an_extreme(goals.cheapest, goals.another_name),
        ),
        *(
            checks.column_set(checks.ITEMS, "product", "name", "new_name"),
            solutions.RENAME,
            "The product that is the cheapest of its category has the new name.",
        ),
    ),
    made(
        *("comment-order-of-email", "heldout", 3),
        of_event(
            "Set the internal comment of the order of {event} with the e-mail address {email} to exactly: {text}",
            an_order("pnce", goals.a_comment),
        ),
        *(
            checks.column_set(checks.ORDERS, "order", "comment", "text"),
            solutions.COMMENT,
            "The order of this address has exactly this internal comment.",
        ),
    ),
)
TEMPLATES = (*TRAIN, *HELDOUT)
