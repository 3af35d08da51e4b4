"""The ticket office: pretix, several events of one organiser, from the organiser's side."""
