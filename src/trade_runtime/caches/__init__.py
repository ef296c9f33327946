"""Plug-ins that show other programs the latest values; each is found by its entry point.

They stand beside the core: they import `protocols`, `model` and `errors`, and nothing imports them.
"""
