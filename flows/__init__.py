"""Order and durability: Prefect flows, MLflow tracking, the run folder, the services and the command line."""
