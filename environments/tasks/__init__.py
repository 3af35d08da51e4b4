"""Tasks from templates: filled with parameters, checked by what changed, served by an application on a provider."""
