"""The wiki's task templates. Those of the held-out split ask for other things than those for training."""

from environments.applications.hosted.making import made, number_answered, text_answered
from environments.applications.mediawiki import checks, goals, lists, solutions
from environments.applications.mediawiki.goals import about, the_answer

ANSWERED = "The answer is what the wiki's pages show."
EXACTLY = "with exactly this text"


TRAIN = (
    made(
        *("tell-town-of-featured-article", "train", 1),
        about(goals.featured, "In which town is the {title}? The main page links to it.", the_answer(lambda a: a.town)),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("tell-year-of-featured-article", "train", 1),
        about(
            goals.featured,
            "In which year was the {title} opened? The main page links to it.",
            the_answer(lambda article: str(article.opened)),
        ),
        *(number_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("watch-featured-article", "train", 1),
        about(goals.featured, 'Add the article "{title}", which the main page links to, to your watchlist, for ever.'),
        *(checks.watching(True), solutions.WATCH, "The article is on Robin's watchlist."),
    ),
    made(
        *("tell-first-editor", "train", 2),
        about(
            goals.any_article,
            'Who wrote the first version of the article "{title}"? Answer with the user name.',
            the_answer(lambda article: article.users[0]),
        ),
        *(text_answered, solutions.READ_HISTORY, ANSWERED),
    ),
    made(
        *("count-revisions", "train", 2),
        about(
            goals.any_article,
            'How many revisions does the history of the article "{title}" have? Answer with the number.',
            the_answer(lambda article: str(len(article.texts))),
        ),
        *(number_answered, solutions.READ_HISTORY, ANSWERED),
    ),
    made(
        *("write-article", "train", 2),
        goals.new_article(f'Write the new article "{{new_title}}" {EXACTLY}: {{text}}'),
        *(checks.created(checks.MAIN), solutions.CREATE, "There is an article with this title and this text."),
    ),
    made(
        *("replace-history-section", "train", 2),
        about(
            goals.plain,
            'In the article "{title}", replace the text below the heading "{heading}" by exactly: {text}',
            goals.a_section("history"),
        ),
        *(checks.edited, solutions.SECTION, "The section of the article has exactly the new text."),
    ),
    made(
        *("rename-article", "train", 2),
        about(
            goals.plain,
            'Move (rename) the article "{title}" to "{new_title}" and leave a redirect behind.',
            goals.a_new_title,
        ),
        *(
            checks.moved(leaves_redirect=True),
            solutions.RENAME,
            "The article has the new title, the old one leads there.",
        ),
    ),
    made(
        *("protect-article", "train", 2),
        about(
            goals.plain,
            'Protect the article "{title}": only administrators may edit and move it, for an infinite time.',
        ),
        *(checks.protection_set("sysop"), solutions.PROTECT, "Only administrators may edit and move the article."),
    ),
    made(
        *("delete-article", "train", 2),
        about(goals.plain, 'Delete the article "{title}".'),
        *(checks.deleted, solutions.DELETE, "The article is deleted."),
    ),
    made(
        *("add-redirect", "train", 2),
        about(goals.plain, 'Make "{new_title}" a new redirect to the article "{title}".', goals.a_second_name),
        *(checks.created(checks.MAIN), solutions.REDIRECT, "The new title leads to the article."),
    ),
    made(
        *("add-discussion-topic", "train", 2),
        about(
            goals.discussed,
            'Add a topic to the discussion page of the article "{title}", with the subject "{subject}" and exactly this text, '
            "without a signature: {text}",
            goals.a_topic,
        ),
        *(
            checks.topic_added(checks.TALK),
            solutions.TOPIC,
            "The discussion page ends with the new topic and its text.",
        ),
    ),
    made(
        *("write-own-user-page", "train", 2),
        goals.own_page(f"Write your own user page {EXACTLY}: {{text}}"),
        *(checks.created(checks.USER), solutions.OWN_PAGE, "Robin's user page has exactly this text."),
    ),
    made(
        *("block-editor", "train", 2),
        goals.an_editor(
            "Block the user {user} from editing all pages, with the expiration time {expiry} and all else as proposed.",
            goals.unblocked,
            expiry=goals.EXPIRIES,
        ),
        *(checks.blocked, solutions.BLOCK, "The user is blocked for this time."),
    ),
    made(
        *("tell-editor-of-summary", "train", 3),
        about(
            goals.any_article,
            'Who made the edit of the article "{title}" with the summary "{summary}"? Answer with the user name.',
            goals.a_summary,
        ),
        *(text_answered, solutions.READ_HISTORY, ANSWERED),
    ),
    made(
        *("tell-extreme-of-town", "train", 3),
        lists.in_list(
            'Which is the {most} {noun} of {town}? See the "{list}", and answer with the name only.', lists.largest
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("count-buildings-of-town", "train", 3),
        lists.in_list(
            'How many {nouns} of {town} does the "{list}" have? Answer with the number.', lambda found: str(len(found))
        ),
        *(number_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("undo-last-edit", "train", 3),
        about(goals.plain, 'Undo the last edit of the article "{title}", made by {user}.', goals.the_previous_text),
        *(checks.edited, solutions.UNDO, "The article has the text that it had before this edit."),
    ),
    made(
        *("categorise-article", "train", 3),
        about(goals.plain, 'Add the article "{title}" to the category "{category}", too.', goals.a_category),
        *(checks.edited, solutions.CATEGORISE, "The article is in the category, and in all that it was in before."),
    ),
    made(
        *("redirect-to-oldest", "train", 3),
        about(
            lists.oldest_of_town,
            'Make "{new_title}" a new redirect to the article about the oldest {noun} of {town}; see the "{list}".',
            lists.the_kind,
            goals.a_second_name,
        ),
        *(checks.created(checks.MAIN), solutions.REDIRECT, "The new title leads to the oldest one in the list."),
    ),
)
HELDOUT = (
    made(
        *("tell-architect-of-featured-article", "heldout", 1),
        about(
            goals.featured, "Who designed the {title}? The main page links to it.", the_answer(lambda a: a.architect)
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
    made(
        *("unwatch-article", "heldout", 1),
        about(goals.watched, 'Remove the article "{title}" from your watchlist.'),
        *(checks.watching(False), solutions.UNWATCH, "The article is not on Robin's watchlist."),
    ),
    made(
        *("tell-last-summary", "heldout", 2),
        about(
            goals.any_article,
            'What is the summary of the latest edit of the article "{title}"? Answer with the summary only.',
            the_answer(lambda article: article.summaries[-1]),
        ),
        *(text_answered, solutions.READ_HISTORY, ANSWERED),
    ),
    made(
        *("unprotect-article", "heldout", 2),
        about(goals.protected, 'Remove the protection of the article "{title}": all users may edit and move it again.'),
        *(checks.protection_set(""), solutions.UNPROTECT, "All users may edit and move the article."),
    ),
    made(
        *("unblock-editor", "heldout", 2),
        goals.an_editor("Remove the block of the user {user}.", goals.blocked),
        *(checks.unblocked, solutions.UNBLOCK, "The user is not blocked."),
    ),
    made(
        *("restore-article", "heldout", 2),
        goals.deleted('Restore the deleted article "{title}" with all its revisions.'),
        *(checks.restored, solutions.RESTORE, "The article can be read again."),
    ),
    made(
        *("make-editor-administrator", "heldout", 2),
        goals.an_editor("Make the user {user} an administrator, without an end.", goals.unblocked),
        *(checks.promoted, solutions.PROMOTE, "The user is in the group of administrators."),
    ),
    made(
        *("set-own-real-name", "heldout", 2),
        goals.real_name('In your preferences, set your real name to "{text}"; change nothing else.'),
        *(checks.real_name_set, solutions.SET_REAL_NAME, "The preferences show this real name."),
    ),
    made(
        *("replace-description-section", "heldout", 2),
        about(
            goals.plain,
            'In the article "{title}", replace the text below the heading "{heading}" by exactly: {text}',
            goals.a_section("description"),
        ),
        *(checks.edited, solutions.SECTION, "The section of the article has exactly the new text."),
    ),
    made(
        *("rename-without-redirect", "heldout", 3),
        about(
            goals.plain,
            'Move (rename) the article "{title}" to "{new_title}", without leaving a redirect behind.',
            goals.a_new_title,
        ),
        *(
            checks.moved(leaves_redirect=False),
            solutions.RENAME_ALONE,
            "The article has the new title, and the old one has no page.",
        ),
    ),
    made(
        *("retarget-redirect", "heldout", 3),
        goals.old_name('Change the redirect "{title}": it shall lead to the article "{target}" and to nothing else.'),
        *(checks.edited, solutions.RETARGET, "The redirect leads to the new article."),
    ),
    made(
        *("message-to-first-editor", "heldout", 3),
        about(
            goals.any_article,
            'Write to the user who wrote the first version of the article "{title}": a topic on the discussion page of the '
            'user, with the subject "{subject}" and exactly this text, without a signature: {text}',
            goals.a_message_to_creator,
        ),
        *(
            checks.topic_added(checks.USER_TALK),
            solutions.TOPIC_ON_NEW_PAGE,
            "The user's discussion page has the topic and its text.",
        ),
    ),
    made(
        *("count-pages-linking-to-article", "heldout", 3),
        about(
            goals.plain,
            'How many pages link to the article "{title}"? Answer with the number.',
            goals.links,
        ),
        *(number_answered, solutions.READ_LINKS, ANSWERED),
    ),
    made(
        *("tell-oldest-of-town", "heldout", 3),
        lists.in_list(
            'Which is the oldest {noun} of {town}? See the "{list}", and answer with the name only.', lists.oldest
        ),
        *(text_answered, solutions.READ, ANSWERED),
    ),
)
TEMPLATES = (*TRAIN, *HELDOUT)
