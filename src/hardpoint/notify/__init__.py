"""Kinds of channels over which news of alerts reach people: one file each, named in the registry's `SENDERS`."""
