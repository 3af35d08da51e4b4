"""The forum's task templates. Those of the held-out split ask for other things than those for training."""

from environments.applications.hosted.making import made, number_answered, text_answered
from environments.applications.misago import checks, goals, solutions
from environments.applications.misago.goals import about, new_thread, the_answer

ANSWERED = "The answer is what the thread's page shows."
THE_THREAD = 'the thread "{title}" in {category}'
OF_STARTER = "the one thread that {starter} has started in {category}"


TRAIN = (
    made(
        *("tell-starter-of-recent", "train", 1),
        about(goals.recent, 'Who started the thread "{title}"? Answer with the name.', the_answer(lambda t: t.starter)),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("tell-category-of-recent", "train", 1),
        about(goals.recent, 'In which category is the thread "{title}"?', the_answer(lambda thread: thread.category)),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("like-recent", "train", 1),
        about(goals.recent, 'Like the first post of the thread "{title}".'),
        *(checks.liked, solutions.LIKE, "The first post of the thread is liked by Robin."),
    ),
    made(
        *("watch-recent", "train", 1),
        about(goals.recent, 'Watch the thread "{title}": be notified about new replies on site only.', goals.on_site),
        *(checks.watched, solutions.WATCH, "The thread is watched, with notifications on site only."),
    ),
    made(
        *("reply-to-recent", "train", 1),
        about(goals.recent, 'Reply to the thread "{title}" with exactly this text: {text}', goals.a_text),
        *(checks.posted, solutions.REPLY, "The last post of the thread is Robin's reply with the wanted text."),
    ),
    made(
        *("tell-starter", "train", 2),
        about(
            goals.any_thread,
            f"Who started {THE_THREAD}? Answer with the name.",
            the_answer(lambda thread: thread.starter),
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("count-replies", "train", 2),
        about(
            goals.discussed,
            f"How many replies does {THE_THREAD} have? Answer with the number.",
            the_answer(lambda thread: str(thread.replies)),
        ),
        *(number_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("start-thread", "train", 2),
        new_thread('Start a thread in the category {category} with the title "{title}" and exactly this text: {text}'),
        *(checks.started, solutions.START_THREAD, "The category has a new thread with the wanted title and text."),
    ),
    made(
        *("close-thread", "train", 2),
        about(goals.open_thread, f"Close {THE_THREAD}."),
        *(checks.thread_set("is_closed", True), solutions.CLOSE, "The thread is closed."),
    ),
    made(
        *("rename-thread", "train", 2),
        about(goals.open_thread, f'Change the title of {THE_THREAD} to "{{new_title}}".', goals.a_title),
        *(checks.renamed, solutions.RENAME, "The thread has the new title."),
    ),
    made(
        *("pin-thread", "train", 2),
        about(goals.open_thread, f"Pin {THE_THREAD} in its category."),
        *(checks.thread_set("weight", 1), solutions.PIN, "The thread is pinned in its category."),
    ),
    made(
        *("edit-first-post", "train", 2),
        about(
            goals.open_thread, f"Replace the text of the first post of {THE_THREAD} by exactly: {{text}}", goals.a_text
        ),
        *(checks.edited, solutions.EDIT, "The first post has exactly the new text."),
    ),
    made(
        *("follow-member", "train", 2),
        goals.member,
        *(checks.followed, solutions.FOLLOW, "The profile of the member says that Robin follows it."),
    ),
    made(
        *("set-location", "train", 2),
        goals.profile("location", "Location", goals.PLACES),
        *(checks.profile_set, solutions.PROFILE, "The details of Robin's profile have this location only."),
    ),
    made(
        *("find-thread-of-starter", "train", 3),
        about(
            goals.lone_of_starter,
            "{starter} started one thread in the category {category}. What is its title? Answer with the title only.",
            the_answer(lambda thread: thread.title),
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("move-thread", "train", 3),
        about(goals.open_thread, f"Move {THE_THREAD} to the category {{new_category}}.", goals.another_category),
        *(checks.moved, solutions.MOVE, "The thread is in the new category."),
    ),
    made(
        *("close-thread-of-starter", "train", 3),
        about(goals.lone_of_starter, f"Close {OF_STARTER}."),
        *(checks.thread_set("is_closed", True), solutions.CLOSE, "The thread of this member is closed."),
    ),
    made(
        *("reply-to-starter", "train", 3),
        about(goals.lone_of_starter, f"Reply to {OF_STARTER} with exactly this text: {{text}}", goals.a_text),
        *(checks.posted, solutions.REPLY, "The last post of the member's thread is Robin's reply with the text."),
    ),
    made(
        *("like-reply", "train", 3),
        about(goals.with_lone_reply, f"Like the reply that {{poster}} wrote in {THE_THREAD}.", goals.a_lone_reply),
        *(checks.liked, solutions.LIKE_REPLY, "The reply of this member is liked by Robin."),
    ),
)
HELDOUT = (
    made(
        *("pin-recent-globally", "heldout", 1),
        about(goals.recent, 'Pin the thread "{title}" globally.'),
        *(checks.thread_set("weight", 2), solutions.PIN_GLOBALLY, "The thread is pinned globally."),
    ),
    made(
        *("hide-presence", "heldout", 1),
        goals.hidden_presence,
        *(checks.option_set, solutions.OPTION, "The forum options hide Robin's presence."),
    ),
    made(
        *("watch-by-email", "heldout", 2),
        about(
            goals.open_thread,
            f"Watch {THE_THREAD}: be notified about new replies on site and with e-mail.",
            goals.with_email,
        ),
        *(checks.watched, solutions.WATCH_BY_EMAIL, "The thread is watched, with e-mail."),
    ),
    made(
        *("tell-category", "heldout", 2),
        about(
            goals.any_thread,
            'In which category is the thread "{title}"? Search for it.',
            the_answer(lambda thread: thread.category),
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("open-thread", "heldout", 2),
        about(goals.closed_thread, f"Open {THE_THREAD} again; it is closed."),
        *(checks.thread_set("is_closed", False), solutions.OPEN, "The thread is open."),
    ),
    made(
        *("hide-thread", "heldout", 2),
        about(goals.open_thread, f"Hide {THE_THREAD}."),
        *(checks.thread_set("is_hidden", True), solutions.HIDE, "The thread is hidden."),
    ),
    made(
        *("set-real-name", "heldout", 2),
        goals.profile("real_name", "Real name", goals.NAMES),
        *(checks.profile_set, solutions.PROFILE, "The details of Robin's profile have this real name only."),
    ),
    made(
        *("add-poll", "heldout", 3),
        about(
            goals.recent,
            'Add a poll to the thread "{title}": the question "{question}" with the two choices "{first}" and "{second}", '
            "all else as it is.",
            goals.a_poll,
        ),
        *(checks.polled, solutions.POLL, "The thread has a poll with this question and these choices."),
    ),
    made(
        *("start-closed-thread", "heldout", 3),
        new_thread(
            'Start a closed thread in the category {category} with the title "{title}" and exactly this text: {text}',
            is_closed=True,
        ),
        *(checks.started, solutions.START_CLOSED, "The category has the new thread, and it is closed."),
    ),
    made(
        *("move-thread-of-starter", "heldout", 3),
        about(goals.lone_of_starter, f"Move {OF_STARTER} to the category {{new_category}}.", goals.another_category),
        *(checks.moved, solutions.MOVE, "The thread of this member is in the new category."),
    ),
    made(
        *("count-replies-of-starter", "heldout", 3),
        about(
            goals.lone_of_starter,
            "{starter} started one thread in the category {category}. How many replies does it have? "
            "Answer with the number.",
            the_answer(lambda thread: str(thread.replies)),
        ),
        *(number_answered, solutions.READ, ANSWERED),
    ),
)
TEMPLATES = (*TRAIN, *HELDOUT)
