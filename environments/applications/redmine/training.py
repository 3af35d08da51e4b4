"""The tracker's task templates for training."""

from environments.applications.hosted.making import made
from environments.applications.redmine import checks, goals, projects, solutions
from environments.applications.redmine.goals import about, of, the_answer
from environments.applications.redmine.phrases import ANSWERED, NAMED, NUMBERED, OWN

TRAIN = (
    made(
        *("tell-status-of-own-issue", "train", 1),
        about(goals.own, f"What is the status of {OWN}?", the_answer(lambda issue: issue.status)),
        *(checks.text_answered, solutions.READ_OWN, ANSWERED),
    ),
    made(
        *("tell-priority-of-own-issue", "train", 1),
        about(goals.own, f"What is the priority of {OWN}?", the_answer(lambda issue: issue.priority)),
        *(checks.text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("note-on-own-issue", "train", 1),
        about(goals.own, f"Add a note with exactly this text to {OWN}: {{text}}", goals.a_note),
        *(checks.noted, solutions.NOTE, "The last note on the issue is Robin Vale's, with exactly this text."),
    ),
    made(
        *("resolve-own-issue", "train", 1),
        about(goals.own, f"Set the status of {OWN}, to Resolved.", goals.the_status("Resolved")),
        *(checks.issue_set("status_id"), solutions.SET_STATUS, "The issue's status is Resolved."),
    ),
    made(
        *("tell-assignee-of-issue", "train", 2),
        about(
            goals.assigned,
            f"Who is {NUMBERED} assigned to? Answer with the name.",
            the_answer(lambda issue: issue.assignee or ""),
        ),
        *(checks.text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("set-issue-status", "train", 2),
        about(goals.any_open, f"Set the status of {NUMBERED} to {{label}}.", goals.another_status),
        *(checks.issue_set("status_id"), solutions.SET_STATUS, "The issue has the new status."),
    ),
    made(
        *("set-issue-priority", "train", 2),
        about(goals.any_open, f"Set the priority of {NUMBERED} to {{label}}.", goals.another_priority),
        *(checks.issue_set("priority_id"), solutions.SET_PRIORITY, "The issue has the new priority."),
    ),
    made(
        *("assign-issue", "train", 2),
        about(goals.any_open, f"Assign {NUMBERED} to {{label}}.", goals.another_assignee),
        *(checks.issue_set("assigned_to_id"), solutions.ASSIGN, "The issue is assigned to this person."),
    ),
    made(
        *("set-issue-due-date", "train", 2),
        about(goals.any_open, f"Set the due date of {NUMBERED} to {{value}}.", goals.another_due_date),
        *(checks.issue_set("due_date"), solutions.SET_DUE, "The issue has the new due date."),
    ),
    made(
        *("set-issue-done", "train", 2),
        about(goals.any_open, f"Set % Done of {NUMBERED} to {{label}}.", goals.another_ratio),
        *(checks.issue_set("done_ratio"), solutions.SET_RATIO, "The issue's % Done is the new value."),
    ),
    made(
        *("log-time", "train", 2),
        about(
            goals.any_open,
            f"Log {{hours}} hours of {{activity}} on {NUMBERED} for the date {{on}}, without a comment.",
            goals.some_hours,
        ),
        *(
            checks.added_with(
                checks.HOURS,
                {"user_id": checks.ACTOR, "comments": None},
                **{"issue_id": "number", "hours": "hours", "activity_id": "activity_id", "spent_on": "on"},
            ),
            solutions.LOG,
            "The issue's spent time has a new entry of these hours.",
        ),
    ),
    made(
        *("create-issue", "train", 2),
        of(
            'Create an issue in {project}: tracker {tracker}, subject "{subject}", priority {priority}, '
            "assignee {assignee}, all else as proposed.",
            projects.an_issue,
        ),
        *(
            checks.added_with(
                checks.ISSUES,
                {
                    **{"status_id": 1, "author_id": checks.ACTOR, "done_ratio": 0, "is_private": False},
                    **{"description": None, "category_id": None, "fixed_version_id": None, "parent_id": None},
                    **{"due_date": None, "estimated_hours": None},
                },
                **{"project_id": "project_id", "tracker_id": "tracker_id", "subject": "subject"},
                **{"priority_id": "priority_id", "assigned_to_id": "assignee_id"},
            ),
            solutions.CREATE,
            "The project has a new issue with this tracker, subject, priority and assignee.",
        ),
    ),
    made(
        *("watch-issue", "train", 2),
        about(goals.unwatched, f"Watch {NUMBERED}.", goals.nothing),
        *(
            checks.added_with(
                checks.WATCHERS, {"watchable_type": "Issue", "user_id": checks.ACTOR}, watchable_id="number"
            ),
            solutions.WATCH,
            "Robin Vale watches the issue.",
        ),
    ),
    made(
        *("add-news", "train", 2),
        of(
            'Add news to {project} with the title "{title}", no summary, and exactly this description: {text}',
            projects.a_news_item,
        ),
        *(
            checks.news_added,
            solutions.ADD_NEWS,
            "The project has a news item with this title and description.",
        ),
    ),
    made(
        *("add-version", "train", 2),
        of('Add the version "{name}" with the due date {on} to {project}, all else as proposed.', projects.a_version),
        *(
            checks.added_with(
                checks.VERSIONS,
                {"status": "open", "sharing": "none", "description": None, "wiki_page_title": None},
                **{"project_id": "project_id", "name": "name", "effective_date": "on"},
            ),
            solutions.ADD_VERSION,
            "The project has the new version with this date.",
        ),
    ),
    made(
        *("add-issue-category", "train", 2),
        of('Add the issue category "{name}" to {project}, without an assignee.', projects.a_category),
        *(
            checks.added_with(checks.CATEGORIES, {"assigned_to_id": None}, project_id="project_id", name="name"),
            solutions.ADD_CATEGORY,
            "The project has the new issue category.",
        ),
    ),
    made(
        *("write-wiki-page", "train", 2),
        of(
            'Add a page with the title "{title}" and exactly this text to the wiki of {project}: {text}',
            projects.a_new_page,
        ),
        *(checks.page_added, solutions.WRITE_PAGE, "The wiki has a page with this title and exactly this text."),
    ),
    made(
        *("count-open-bugs-of-version", "train", 3),
        of(
            "How many open bugs does the version {version} of {project} have? Answer with the number.",
            projects.bugs_of_version,
        ),
        *(checks.number_answered, solutions.READ_VERSION, ANSWERED),
    ),
    made(
        *("count-open-issues-of-member", "train", 3),
        of(
            "How many open issues of {project} are assigned to {member}? Answer with the number.",
            projects.issues_of_member,
        ),
        *(checks.number_answered, solutions.READ_LIST, ANSWERED),
    ),
    made(
        *("close-issue-of-subject", "train", 3),
        about(goals.any_open, f"Close {NAMED}: set its status to Closed.", goals.the_status("Closed")),
        *(checks.issue_set("status_id", "closed_on"), solutions.CLOSE, "The status of the issue is Closed."),
    ),
    made(
        *("move-issue", "train", 3),
        about(goals.lone, f"Move {NUMBERED} to the project {{label}}.", projects.another_project),
        *(checks.issue_set("project_id"), solutions.MOVE, "The issue is in the other project."),
    ),
    made(
        *("relate-issues", "train", 3),
        of("Mark the issue #{number} of {project} as related to the issue #{other}.", projects.two_issues),
        *(checks.related, solutions.RELATE, "Each of the two issues is related to the other one."),
    ),
)
