"""The parts of the services that a machine can run for the loops of others. Imports nothing: `--help` reads it, too."""

from typing import Literal

Only = Literal["browsers", "models"]
