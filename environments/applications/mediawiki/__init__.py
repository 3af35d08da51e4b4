"""The wiki: MediaWiki, an encyclopedia of a county, seen by one of its administrators."""
