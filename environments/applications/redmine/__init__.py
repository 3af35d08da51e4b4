"""A project tracker: Redmine, installed from Debian packages."""
