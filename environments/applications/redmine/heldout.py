"""The tracker's held-out task templates: they ask for other things than those for training."""

from environments.applications.hosted.making import made
from environments.applications.redmine import checks, goals, projects, solutions
from environments.applications.redmine.goals import about, of, the_answer
from environments.applications.redmine.phrases import ANSWERED, NAMED, NUMBERED, OWN

HELDOUT = (
    made(
        *("tell-project-of-own-issue", "heldout", 1),
        about(goals.own, f"Which project has {OWN}? Answer with its name.", goals.the_project),
        *(checks.text_answered, solutions.READ_OWN, ANSWERED),
    ),
    made(
        *("set-tracker-of-own-issue", "heldout", 1),
        about(goals.own, f"Set the tracker of {OWN}, to {{label}}.", goals.another_tracker),
        *(checks.issue_set("tracker_id"), solutions.SET_TRACKER, "The issue has the new tracker."),
    ),
    made(
        *("tell-due-date-of-issue", "heldout", 2),
        about(
            goals.due,
            f"What is the due date of {NUMBERED}? Answer in the form YYYY-MM-DD.",
            the_answer(lambda issue: str(issue.due)),
        ),
        *(checks.text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("rename-issue", "heldout", 2),
        about(goals.any_open, f'Change the subject of {NUMBERED} to "{{value}}".', goals.another_subject),
        *(checks.issue_set("subject"), solutions.RENAME, "The issue has the new subject."),
    ),
    made(
        *("set-issue-category", "heldout", 2),
        about(goals.any_open, f"Set the category of {NUMBERED} to {{label}}.", goals.another_category),
        *(checks.issue_set("category_id"), solutions.SET_CATEGORY, "The issue has the new category."),
    ),
    made(
        *("set-issue-version", "heldout", 2),
        about(goals.any_open, f"Set the target version of {NUMBERED} to {{label}}.", goals.another_version),
        *(checks.issue_set("fixed_version_id"), solutions.SET_VERSION, "The issue has the new target version."),
    ),
    made(
        *("set-issue-estimate", "heldout", 2),
        about(goals.any_open, f"Set the estimated time of {NUMBERED} to {{value}} hours.", goals.another_estimate),
        *(checks.issue_set("estimated_hours"), solutions.SET_ESTIMATE, "The issue has the new estimated time."),
    ),
    made(
        *("add-issue-watcher", "heldout", 2),
        about(goals.unwatched, f"Add {{member}} as a watcher of {NUMBERED}.", goals.a_watcher),
        *(
            checks.added_with(
                checks.WATCHERS, {"watchable_type": "Issue"}, **{"watchable_id": "number", "user_id": "user_id"}
            ),
            solutions.ADD_WATCHER,
            "This person watches the issue.",
        ),
    ),
    made(
        *("edit-wiki-page", "heldout", 2),
        of(
            'Replace the whole text of the wiki page "{heading}" of {project} by exactly: {text}',
            projects.a_page,
        ),
        *(checks.page_edited, solutions.WRITE_PAGE, "The page has exactly this text."),
    ),
    made(
        *("comment-news", "heldout", 2),
        of('Comment on the news "{title}" of {project} with exactly this text: {text}', projects.an_item),
        *(checks.commented, solutions.COMMENT_NEWS, "The news item has Robin Vale's comment with this text."),
    ),
    made(
        *("describe-project", "heldout", 2),
        of("Replace the whole description of the project {project} by exactly: {text}", projects.a_description),
        *(checks.described, solutions.DESCRIBE, "The project has exactly this description."),
    ),
    made(
        *("close-version", "heldout", 3),
        of("Set the status of the version {version} of {project} to closed.", projects.an_open_version),
        *(checks.version_closed, solutions.CLOSE_VERSION, "The version is closed."),
    ),
    made(
        *("add-project-member", "heldout", 3),
        of("Add {person} to the members of {project} as a {role}, with no other role.", projects.a_newcomer),
        *(checks.joined, solutions.JOIN, "The person is a member of the project with this role only."),
    ),
    made(
        *("assign-issue-of-subject", "heldout", 3),
        about(goals.any_open, f"Assign {NAMED} to {{label}}.", goals.another_assignee),
        *(checks.issue_set("assigned_to_id"), solutions.ASSIGN, "The issue is assigned to this person."),
    ),
    made(
        *("sum-hours-of-issue", "heldout", 3),
        about(
            goals.worked_on,
            f"How many hours were spent on {NAMED}? Answer with the number.",
            the_answer(lambda issue: f"{issue.hours:.2f}"),
        ),
        *(checks.number_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("find-largest-estimate", "heldout", 3),
        of(
            "Which open issue of the version {version} of {project} has the largest estimated time? "
            "Answer with its number.",
            projects.largest_estimate,
        ),
        *(checks.number_answered, solutions.READ_VERSION, ANSWERED),
    ),
)
