"""The tracker's task templates of both splits."""

from environments.applications.redmine.heldout import HELDOUT
from environments.applications.redmine.training import TRAIN

TEMPLATES = (*TRAIN, *HELDOUT)
