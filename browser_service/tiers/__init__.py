"""The processes of the service: master, node and instance, or all in one process, and the calls between them."""
