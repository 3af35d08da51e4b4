"""Our environments for other frameworks: as a server of OpenEnv, and as an environment of `verifiers`."""
