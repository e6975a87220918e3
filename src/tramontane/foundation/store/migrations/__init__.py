"""The history of the tables: one file per step under `versions/`, each reversible by restoring a backup only."""
