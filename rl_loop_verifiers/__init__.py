"""The name by which `verifiers` finds our environments: it loads plug-ins by the name of a module at the top."""

from flows.ecosystem.verifiers_env import WebHarness, WebTaskset

__all__ = ["WebHarness", "WebTaskset"]
