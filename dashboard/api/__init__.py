"""The JSON routes of the dashboard, one file per noun."""
