"""Public helpers for tests: conformance suites, and what the project itself is tried with."""
