"""The mail account that is signed in: no page has its password."""

ACCOUNT = "robin.vale@harbour.test"
PASSWORD = "the mailboxes are reached from here only"
