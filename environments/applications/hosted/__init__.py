"""Real applications: installed from packages, one server for all episodes, a database of its own for each."""
