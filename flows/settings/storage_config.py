"""Section `storage` of the configuration: where finished work is copied to, and how long pictures are kept."""

from typing import Annotated

from pydantic import AfterValidator

from flows.settings.section import Section
from storage.mirror.objects import check_address
from storage.upkeep.retention import KeepConfig


class StorageConfig(Section):
    """Copies of runs and their retention. Not part of a run's identity."""

    mirror: Annotated[str, AfterValidator(check_address)] | None = None
    """Address to which finished stages and policies are copied while a run goes on, `s3://bucket/folder` or any other that
    fsspec knows; `rl-loop fetch` makes the run folder again on another machine. Credentials come from the environment
    (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`). null: no copies."""
    keep: KeepConfig = KeepConfig()
    """What is removed by age: after each policy update, and by `rl-loop prune`. The copy at
    `mirror` follows when a loop ends."""
