"""The scheduler is tested with the configuration of a small loop."""

from loop_configs import config, model_directory, write_config  # noqa: F401 (fixtures)
