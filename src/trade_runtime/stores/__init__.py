"""Stores: plug-ins that keep the journal, found by the scheme of `[store] url`.

Each module exports `plugin`, a `protocols.StorePlugin`, named by an entry point of the group
`trade_runtime.stores`. They import `protocols`, `model` and `errors`, and nothing else of the core.
`trade_runtime.testing.stores.check_store` says whether a store of your own keeps the same promises.
"""
