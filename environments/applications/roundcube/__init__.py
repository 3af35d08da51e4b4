"""Roundcube, a mail application with its mailboxes in Dovecot and a sink for what is sent, as an environment."""
