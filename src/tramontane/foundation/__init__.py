"""What every floor stands on: nouns, ids, units, events, errors, clock, settings and the store. Imports nothing of ours."""
