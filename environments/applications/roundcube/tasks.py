"""The templates of the mail tasks. Those of the held-out split ask for other things than those for training."""

from environments.applications.hosted.making import made, number_answered, text_answered
from environments.applications.roundcube import account_checks, checks, goals, solutions, words
from environments.applications.roundcube.goals import about, lone, recent, the_answer

ANSWERED = "The answer is what the pages show."
THE_MAIL = 'the mail with the subject "{subject}"'
LONE = "the one mail from {sender} in the folder {folder}"
NEW = 'the subject "{subject}" and exactly this text: {new_text}'
WITH_TEXT = "exactly this text: {new_text}"


TRAIN = (
    made(
        *("tell-sender-of-recent-mail", "train", 1),
        about(recent(), f"Who sent {THE_MAIL}? Answer with the full name.", the_answer(lambda mail: mail.sender)),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("tell-day-of-recent-mail", "train", 1),
        about(
            recent(),
            f"On which day was {THE_MAIL} sent? Answer with the date as YYYY-MM-DD.",
            the_answer(lambda mail: mail.date),
        ),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("count-unread-mails", "train", 1),
        goals.unread,
        *(number_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("flag-recent-mail", "train", 1),
        about(recent(lambda mail: not mail.is_flagged), f"Flag {THE_MAIL}."),
        *(checks.marked("is_flagged", True), solutions.FLAG, "The mail is flagged."),
    ),
    made(
        *("mark-recent-mail-as-read", "train", 1),
        about(recent(lambda mail: not mail.is_read), f"Mark {THE_MAIL} as read."),
        *(checks.marked("is_read", True), solutions.READ, "The mail is marked as read."),
    ),
    made(
        *("delete-recent-mail", "train", 1),
        about(recent(), f"Delete {THE_MAIL}: it has to be in the folder Trash.", goals.to("Trash")),
        *(checks.moved, solutions.DELETE, "The mail is in the folder Trash."),
    ),
    made(
        *("move-recent-mail", "train", 2),
        about(recent(), f"Move {THE_MAIL} to the folder {{target}}.", goals.another_folder),
        *(checks.moved, solutions.MOVE, "The mail is in the wanted folder."),
    ),
    made(
        *("reply-to-recent-mail", "train", 2),
        about(recent(), f"Reply to the sender of {THE_MAIL} with {WITH_TEXT}", goals.a_text),
        *(checks.replied, solutions.REPLY, "The folder Sent has the reply with the wanted text."),
    ),
    made(
        *("forward-recent-mail", "train", 2),
        about(recent(), f"Forward {THE_MAIL} to {{to}}; add nothing.", goals.a_receiver),
        *(checks.forwarded, solutions.FORWARD, "The folder Sent has the forwarded mail to the wanted address."),
    ),
    made(
        *("send-mail", "train", 2),
        goals.new_mail(f"Send a mail to {{to}} with {NEW}"),
        *(checks.sent, solutions.SEND, "The folder Sent has the mail with the wanted receiver, subject and text."),
    ),
    made(
        *("save-draft", "train", 2),
        goals.new_mail(f"Save a draft of a mail to {{to}}, without sending it, with {NEW}"),
        *(checks.saved_as_draft, solutions.DRAFT, "The folder Drafts has the wanted mail.", "It was not sent."),
    ),
    made(
        *("tell-sender-in-folder", "train", 2),
        about(
            goals.inside("Projects", "Travel", "Newsletters", "Archive"),
            f"Who sent {THE_MAIL}, which is in the folder {{folder}}? Answer with the full name.",
            the_answer(lambda mail: mail.sender),
        ),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("create-mail-folder", "train", 2),
        goals.value('Create a new mail folder "{value}" at the top level.', words.NEW_FOLDERS),
        *(checks.folder_made, solutions.ADD_FOLDER, "The list of folders has the new folder."),
    ),
    made(
        *("add-contact", "train", 2),
        goals.new_contact,
        *(account_checks.contact_added, solutions.ADD_CONTACT, "The address book has the new person with the address."),
    ),
    made(
        *("tell-address-of-contact", "train", 2),
        goals.contact(
            "What is the e-mail address of {name} in the address book? Answer with the address.", lambda one: one.email
        ),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("set-display-name", "train", 2),
        goals.value(
            'In the settings, change the display name of your identity to "{value}".',
            words.DISPLAY_NAMES,
            column="name",
            label="Display Name",
        ),
        *(account_checks.identity_set, solutions.SET_IDENTITY, "The identity has the new display name."),
    ),
    made(
        *("set-mails-per-page", "train", 2),
        goals.value(
            "In the preferences, set the rows per page of the mailbox view to {value}.",
            goals.PAGE_SIZES,
            column="mail_pagesize",
        ),
        *(account_checks.preference_set, solutions.SET_PAGE_SIZE, "The mailbox view has the wanted number of rows."),
    ),
    made(
        *("move-mail-of-sender", "train", 3),
        about(lone("Family", "Travel"), f"Move {LONE} to the folder {{target}}.", goals.another_folder),
        *(checks.moved, solutions.MOVE, "The mail of this sender is in the wanted folder."),
    ),
    made(
        *("count-mails-of-sender", "train", 3),
        about(
            goals.inside("Projects", "Travel", "Family", "Newsletters"),
            "How many mails from {sender} are in the folder {folder}? Answer with the number.",
            goals.how_many_of_sender,
        ),
        *(number_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("reply-to-mail-of-sender", "train", 3),
        about(lone("Projects", "Newsletters", "Travel"), f"Reply to {LONE} with {WITH_TEXT}", goals.a_text),
        *(checks.replied, solutions.REPLY, "The folder Sent has the reply to this mail with the wanted text."),
    ),
    made(
        *("change-address-of-contact", "train", 3),
        goals.contact("In the address book, change the e-mail address of {name} to {new_email}."),
        *(account_checks.contact_set, solutions.SET_EMAIL, "The person has the new address, and no other one."),
    ),
)
HELDOUT = (
    made(
        *("mark-recent-mail-as-unread", "heldout", 1),
        about(recent(lambda mail: mail.is_read), f"Mark {THE_MAIL} as unread."),
        *(checks.marked("is_read", False), solutions.UNREAD, "The mail is marked as unread."),
    ),
    made(
        *("unflag-recent-mail", "heldout", 1),
        about(recent(lambda mail: mail.is_flagged), f"Remove the flag of {THE_MAIL}."),
        *(checks.marked("is_flagged", False), solutions.UNFLAG, "The mail is not flagged."),
    ),
    made(
        *("tell-copy-of-recent-mail", "heldout", 2),
        about(
            recent(lambda mail: bool(mail.copy_to)),
            f"Who got a copy (Cc) of {THE_MAIL}? Answer with the full name.",
            the_answer(goals.copied_name),
        ),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("restore-deleted-mail", "heldout", 2),
        about(goals.inside("Trash"), f"Move {THE_MAIL} from the folder Trash to the Inbox.", goals.to("INBOX")),
        *(checks.moved, solutions.RESTORE, "The mail is in the inbox."),
    ),
    made(
        *("empty-trash", "heldout", 2),
        goals.trash,
        *(checks.emptied, solutions.EMPTY, "The folder Trash is empty."),
    ),
    made(
        *("delete-contact", "heldout", 2),
        goals.contact("Delete {name} from the address book."),
        *(account_checks.contact_deleted, solutions.DELETE_CONTACT, "The person is not in the address book."),
    ),
    made(
        *("tell-phone-of-contact", "heldout", 2),
        goals.contact(
            "What is the phone number of {name} in the address book? Answer with the number.", lambda one: one.phone
        ),
        *(text_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("create-contact-group", "heldout", 2),
        goals.group('Create a contact group "{new_name}" in the address book.'),
        *(account_checks.group_made, solutions.ADD_GROUP, "The address book has the new group."),
    ),
    made(
        *("rename-contact-group", "heldout", 2),
        goals.group('Rename the contact group "{group}" to "{new_name}".'),
        *(account_checks.group_renamed, solutions.RENAME_GROUP, "The group has the new name."),
    ),
    made(
        *("set-own-organization", "heldout", 2),
        goals.value(
            'In the settings, change the organization of your identity to "{value}".',
            words.ORGANIZATIONS,
            column="organization",
            label="Organization",
        ),
        *(account_checks.identity_set, solutions.SET_IDENTITY, "The identity has the new organization."),
    ),
    made(
        *("create-response", "heldout", 2),
        goals.response,
        *(account_checks.response_made, solutions.ADD_RESPONSE, "The responses have the new one with the wanted text."),
    ),
    made(
        *("send-mail-with-copy", "heldout", 3),
        goals.new_mail(f"Send a mail to {{to}}, with a copy (Cc) to {{copy}}, with {NEW}"),
        *(checks.sent, solutions.SEND_COPY, "The folder Sent has the mail with the receiver, copy, subject and text."),
    ),
    made(
        *("reply-to-all", "heldout", 3),
        about(
            recent(lambda mail: bool(mail.copy_to)),
            f"Reply to all, that is to the sender and to who got a copy, of {THE_MAIL} with {WITH_TEXT}",
            goals.a_text,
        ),
        *(checks.replied_to_all, solutions.REPLY_ALL, "The folder Sent has the reply to both with the wanted text."),
    ),
    made(
        *("forward-mail-of-sender", "heldout", 3),
        about(lone("Family", "Projects"), f"Forward {LONE} to {{to}}; add nothing.", goals.a_receiver),
        *(checks.forwarded, solutions.FORWARD, "The folder Sent has this mail, forwarded to the wanted address."),
    ),
    made(
        *("tell-total-of-invoice", "heldout", 3),
        about(
            lone("Invoices"),
            "What is the total, in EUR, of the one invoice from {sender} in the folder Invoices? Answer with the number.",
            the_answer(lambda mail: mail.total),
        ),
        *(number_answered, solutions.ANSWER, ANSWERED),
    ),
    made(
        *("add-contact-to-group", "heldout", 3),
        goals.contact("In the address book, add {name} to the group {group}."),
        *(account_checks.in_group, solutions.ADD_TO_GROUP, "The group has this person as a member."),
    ),
)
TEMPLATES = (*TRAIN, *HELDOUT)
