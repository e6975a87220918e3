"""Which models there are, under what licence, where they are installed and what this machine can hold."""
