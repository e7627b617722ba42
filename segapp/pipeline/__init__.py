"""Stages over plain arrays: what they need and give, a content-hash store, a session, one worker, recipes."""
