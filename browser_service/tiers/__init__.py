"""The processes and their doors: master, node, instance, alone or all in one, and how they speak with one another."""
