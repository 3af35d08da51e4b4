"""Superset's task templates. Those of the held-out split ask for other things than those for training."""

from functools import partial

from environments.applications.hosted import making
from environments.applications.superset import checks, goals, solutions
from environments.applications.superset.goals import about_chart, about_dashboard

made = partial(making.made, least_steps=12)
"""A chart or a query takes some steps more than a form."""
ANSWERED = "The answer is what the data shows."
FROM_DATA = (checks.number_answered, solutions.READ_QUERY, ANSWERED)


TRAIN = (
    made(
        *("tell-number-of-chart", "train", 1),
        about_chart(goals.number_chart, 'Which number does the chart "{name}" show?', answer=goals.number_of),
        *(checks.number_answered, solutions.READ_CHART, ANSWERED),
    ),
    made(
        *("tell-dataset-of-chart", "train", 1),
        about_chart(
            goals.any_chart,
            'On which dataset is the chart "{name}" based? Answer with its name only.',
            answer=goals.dataset_of,
        ),
        *(checks.text_answered, solutions.READ_LIST, ANSWERED),
    ),
    made(
        *("favourite-dashboard", "train", 1),
        about_dashboard(goals.any_dashboard, 'Mark the dashboard "{title}" as a favourite.'),
        *(checks.favourite("Dashboard", "dashboard"), solutions.STAR_BOARD, "The dashboard has a star."),
    ),
    made(
        *("publish-dashboard", "train", 1),
        about_dashboard(goals.draft, 'Publish the dashboard "{title}", which is a draft.'),
        *(checks.publication(True), solutions.PUBLISH, "The dashboard is published."),
    ),
    made(
        *("tell-first-of-chart", "train", 2),
        about_chart(
            goals.ranking,
            'Which {what} is first in the chart "{name}", which has the highest first? Answer with the name only.',
            answer=goals.place(0),
        ),
        *(checks.text_answered, solutions.READ_CHART, ANSWERED),
    ),
    made(
        *("tell-owner-of-dashboard", "train", 2),
        about_dashboard(goals.any_dashboard, goals.SHARED, answer=goals.other_owner),
        *(checks.text_answered, solutions.READ_OWNERS, ANSWERED),
    ),
    made(
        *("rename-dashboard", "train", 2),
        about_dashboard(goals.any_dashboard, 'Rename the dashboard "{title}" to "{new_title}".', goals.A_TITLE),
        *(
            checks.dashboard_set("dashboard_title", "new_title"),
            solutions.RENAME_BOARD,
            "The dashboard has the new title.",
        ),
    ),
    made(
        *("set-slug-of-dashboard", "train", 2),
        about_dashboard(goals.any_dashboard, 'Set the URL slug of the dashboard "{title}" to {slug}.', goals.a_slug),
        *(checks.dashboard_set("slug", "slug"), solutions.SET_SLUG, "The properties of the dashboard have this slug."),
    ),
    made(
        *("delete-dashboard", "train", 2),
        about_dashboard(goals.any_dashboard, 'Delete the dashboard "{title}".'),
        *(checks.dashboard_removed, solutions.DELETE_BOARD, "The dashboard is gone from the list."),
    ),
    made(
        *("add-dashboard", "train", 2),
        goals.new('Create an empty dashboard with the title "{new_title}".', goals.A_TITLE),
        *(checks.dashboard_added, solutions.ADD_BOARD, "The list has a new dashboard with this title."),
    ),
    made(
        *("rename-chart", "train", 2),
        about_chart(goals.any_chart, 'Rename the chart "{name}" to "{new_name}".', goals.A_NAME),
        *(checks.chart_set("slice_name", "new_name"), solutions.RENAME_CHART, "The chart has the new name."),
    ),
    made(
        *("describe-chart", "train", 2),
        about_chart(goals.any_chart, 'Set the description of the chart "{name}" to exactly: {text}', goals.A_TEXT),
        *(checks.chart_set("description", "text"), solutions.DESCRIBE_CHART, "The chart has exactly this description."),
    ),
    made(
        *("add-annotation-layer", "train", 2),
        goals.new(
            'Add an annotation layer with the name "{name}" and exactly this description: {text}', goals.a_new_layer
        ),
        *(checks.layer_added, solutions.ADD_LAYER, "The list has a new annotation layer with name and description."),
    ),
    made(
        *("delete-saved-query", "train", 2),
        goals.a_saved_query('Delete the saved query "{name}".'),
        *(checks.removed(checks.SAVED), solutions.DELETE_QUERY, "The saved query is gone from the list."),
    ),
    made(
        *("run-query", "train", 2),
        goals.a_query("Run this query in SQL Lab, exactly as it is: {sql}"),
        *(checks.query_run, solutions.RUN_QUERY, "SQL Lab shows the result of this query."),
    ),
    made(
        *("count-orders-by-query", "train", 3),
        goals.orders_counted,
        *FROM_DATA,
    ),
    made(
        *("save-query", "train", 3),
        goals.a_query('Save this query in SQL Lab under the name "{label}", without a description: {sql}'),
        *(checks.query_saved, solutions.SAVE_QUERY, "The saved queries have one with this name and text."),
    ),
    made(
        *("certify-dashboard", "train", 3),
        about_dashboard(
            goals.any_dashboard,
            'Certify the dashboard "{title}": it is certified by "{certifier}", without details.',
            goals.A_CERTIFIER,
        ),
        *(
            checks.dashboard_set("certified_by", "certifier"),
            solutions.CERTIFY_BOARD,
            "The dashboard is certified by this name.",
        ),
    ),
    made(
        *("publish-dashboard-of-chart", "train", 3),
        about_dashboard(goals.draft, 'Publish the dashboard that has the chart "{chart_name}"; it is a draft.'),
        *(checks.publication(True), solutions.PUBLISH, "The dashboard with this chart is published."),
    ),
)
HELDOUT = (
    made(
        *("favourite-chart", "heldout", 1),
        about_chart(goals.any_chart, 'Mark the chart "{name}" as a favourite.'),
        *(checks.favourite("slice", "chart"), solutions.STAR_CHART, "The chart has a star."),
    ),
    made(
        *("unpublish-dashboard", "heldout", 1),
        about_dashboard(goals.published, 'Make the dashboard "{title}", which is published, a draft.'),
        *(checks.publication(False), solutions.UNPUBLISH, "The dashboard is a draft."),
    ),
    made(
        *("tell-second-of-chart", "heldout", 2),
        about_chart(
            goals.ranking,
            'Which {what} is second in the chart "{name}", which has the highest first? Answer with the name only.',
            answer=goals.place(1),
        ),
        *(checks.text_answered, solutions.READ_CHART, ANSWERED),
    ),
    made(*("tell-price-by-query", "heldout", 2), goals.product_priced, *FROM_DATA),
    made(
        *("delete-chart", "heldout", 2),
        about_chart(goals.any_chart, 'Delete the chart "{name}".'),
        *(checks.chart_removed, solutions.DELETE_CHART, "The chart is gone from the list."),
    ),
    made(
        *("rename-annotation-layer", "heldout", 2),
        goals.a_layer('Rename the annotation layer "{name}" to "{new_title}".', more=goals.A_TITLE),
        *(checks.layer_set("name", "new_title"), solutions.RENAME_LAYER, "The annotation layer has the new name."),
    ),
    made(
        *("delete-annotation-layer", "heldout", 2),
        goals.a_layer('Delete the annotation layer "{name}".', empty=True),
        *(checks.removed(checks.LAYERS), solutions.DELETE_LAYER, "The annotation layer is gone from the list."),
    ),
    made(
        *("delete-css-template", "heldout", 2),
        goals.a_style('Delete the CSS template "{name}".'),
        *(checks.removed(checks.STYLES), solutions.DELETE_STYLE, "The CSS template is gone from the list."),
    ),
    made(*("count-customers-by-query", "heldout", 3), goals.customers_counted, *FROM_DATA),
    made(
        *("certify-chart", "heldout", 3),
        about_chart(
            goals.any_chart,
            'Certify the chart "{name}": it is certified by "{certifier}", without details.',
            goals.A_CERTIFIER,
        ),
        *(
            checks.chart_set("certified_by", "certifier"),
            solutions.CERTIFY_CHART,
            "The chart is certified by this name.",
        ),
    ),
    made(
        *("copy-chart", "heldout", 3),
        about_chart(
            goals.any_chart,
            'Save a copy of the chart "{name}" under the name "{new_name}", on no dashboard.',
            goals.A_NAME,
        ),
        *(checks.chart_copied, solutions.COPY_CHART, "The list has a new chart with this name."),
    ),
    made(
        *("rename-dashboard-of-chart", "heldout", 3),
        about_dashboard(
            goals.topical, 'Rename the dashboard that has the chart "{chart_name}" to "{new_title}".', goals.A_TITLE
        ),
        *(
            checks.dashboard_set("dashboard_title", "new_title"),
            solutions.RENAME_BOARD,
            "The dashboard with this chart has the new title.",
        ),
    ),
)
TEMPLATES = (*TRAIN, *HELDOUT)
