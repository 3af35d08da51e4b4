"""The samples under policies before the first step: trainer against server, and the reference of the KL term."""
