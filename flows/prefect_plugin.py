"""Makes `prefect deployment run rl-loop` work: a deployment name without a slash means NAME/NAME.

Prefect finds deployments as FLOW/DEPLOYMENT only. This plugin (entry point group `prefect.plugins`, switched on by
`[tool.prefect.plugins] enabled = true` in pyproject.toml) completes the name before the client asks the server.
"""

from typing import Any

from prefect.plugins import register_hook


def full_name(name: str) -> str:
    """`rl-loop` -> `rl-loop/rl-loop`; a name with a slash stays unchanged."""
    return name if "/" in name else f"{name}/{name}"


@register_hook
def setup_environment(*, ctx: Any) -> None:
    """Called by Prefect once per process, before any command."""
    from prefect.client.orchestration._deployments.client import DeploymentAsyncClient, DeploymentClient

    if getattr(DeploymentClient, "completes_names", False):
        return
    read, read_async = DeploymentClient.read_deployment_by_name, DeploymentAsyncClient.read_deployment_by_name

    def read_deployment_by_name(self: DeploymentClient, name: str) -> Any:
        return read(self, full_name(name))

    async def read_deployment_by_name_async(self: DeploymentAsyncClient, name: str) -> Any:
        return await read_async(self, full_name(name))

    DeploymentClient.read_deployment_by_name = read_deployment_by_name
    DeploymentAsyncClient.read_deployment_by_name = read_deployment_by_name_async
    DeploymentClient.completes_names = True  # ty: ignore[missing-attribute]  # a mark of ours
