"""The tracker's task templates. Those of the held-out split ask for other things than those for training."""

from agent.types import Split
from environments.applications.redmine import checks, goals, projects, solutions
from environments.applications.redmine.goals import about, of, the_answer
from environments.tasks.templates import Check, Fill, Solve, Template

NO_OTHER_CHANGE = "Nothing else was changed, added or removed."
ANSWERED = "The answer is what the page shows."
OWN = 'the issue "{subject}", which is assigned to Robin Vale'
NUMBERED = "the issue #{number} of {project}"
NAMED = 'the issue "{subject}" of {project}'


def made(name: str, split: Split, difficulty: int, fill: Fill, check: Check, solve: Solve, fact: str) -> Template:
    """A template whose rubric is one fact, and that nothing else changed."""
    return Template(
        name=name,
        split=split,
        difficulty=difficulty,
        max_steps=8 + 4 * difficulty,
        fill=fill,
        check=check,
        solve=solve,
        rubric=(fact, NO_OTHER_CHANGE),
    )


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
        about(goals.any_open, f"Set the share of {NUMBERED} that is done to {{label}}.", goals.another_ratio),
        *(checks.issue_set("done_ratio"), solutions.SET_RATIO, "The issue's share of done work is the new one."),
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
TEMPLATES = (*TRAIN, *HELDOUT)
