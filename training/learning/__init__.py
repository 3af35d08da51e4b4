"""The policy update: losses, learner, checks of its result, and its report."""
