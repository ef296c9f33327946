"""Venues, as plug-ins: each is found by its entry point and imported by nothing else of the core.

A plug-in stands outside the order of layers: it imports `protocols`, `model` and `errors` alone.
`docs/reference/` has a page for each.
"""
