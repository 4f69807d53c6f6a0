"""A news monitor for international agreements."""
