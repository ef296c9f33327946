"""The version of the project, in a module that imports nothing, so that every layer may name it."""

__version__ = "0.1.0"
