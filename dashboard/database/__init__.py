"""The dashboard's database: tasks, rollouts, verdicts of people, the queue. Only this room imports SQLAlchemy."""
