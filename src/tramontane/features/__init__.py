"""What the platform offers on top of the engine; each feature has its own tables and knows no other feature."""
