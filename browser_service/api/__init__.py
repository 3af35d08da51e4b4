"""The routes of the HTTP API, by who may use them, and what every request passes before."""
