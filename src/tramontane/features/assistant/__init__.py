"""Conversations that are kept: asked through the engine, stored as trees of entries, owned by whoever began them."""
