"""The served policy: publishing, its owner, and checks of its prompts."""
