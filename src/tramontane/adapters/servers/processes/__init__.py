"""What every server process of ours has in common: how it is started, what it gives up, how it is watched and ended."""
