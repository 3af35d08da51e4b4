"""Programs that use this project from outside."""
