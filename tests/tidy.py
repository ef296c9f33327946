"""The style that no linter knows: rules about source text, each a function from text to findings.

`test_tidy.py` applies them to the project and proves on bad snippets that each can fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINES = 400
"""A reader holds a file in the head. 400 is where that ends; most stay under 200."""

# A dotted name that ends in `.*` stands for everything below it.
CLOCKS = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "time.gmtime",
        "time.localtime",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.sleep",
        "time.time",
        "time.time_ns",
    }
)
ENTROPY = frozenset(
    {
        "os.getrandom",
        "os.urandom",
        "random.SystemRandom",
        "secrets.*",
        "uuid.uuid1",
        "uuid.uuid4",
        *(
            f"random.{function}"
            for function in (
                *("betavariate", "choice", "choices", "expovariate", "gauss", "getrandbits"),
                *("lognormvariate", "normalvariate", "paretovariate", "randbytes", "randint"),
                *("random", "randrange", "sample", "seed", "shuffle", "triangular", "uniform"),
            )
        ),
    }
)
THREADS = frozenset(
    {
        "_thread.*",
        "concurrent.futures.*",
        "multiprocessing.*",
        "threading.*",
        "trio.from_thread.*",
        "trio.to_thread.*",
    }
)


@dataclass(frozen=True)
class Finding:
    """One breach of a rule: where, and what."""

    line: int
    what: str


def missing_docstring(source: str) -> list[Finding]:
    """A module says in its first lines what it is."""
    if ast.get_docstring(ast.parse(source)):
        return []
    return [Finding(1, "the module has no docstring")]


def too_long(source: str) -> list[Finding]:
    """A file ends before a reader's attention does."""
    lines = len(source.splitlines())
    return [Finding(lines, f"{lines} lines, over {MAX_LINES}")] if lines > MAX_LINES else []


def async_in_machine(source: str) -> list[Finding]:
    """Values and machines have no lifetime: no coroutine, no Trio."""
    findings = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                findings.append(Finding(node.lineno, "async code in a machine or a value"))
            case ast.Import() | ast.ImportFrom():
                roots = {name.split(".")[0] for name, _ in _imported(node)}
                if "trio" in roots:
                    findings.append(Finding(node.lineno, "a machine or a value imports trio"))
    return findings


def uses(source: str, banned: frozenset[str]) -> list[Finding]:
    """Every use of a banned name, however it was imported."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    findings = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for dotted, local in _imported(node):
                plain = isinstance(node, ast.Import) and local == dotted.split(".")[0]
                bound[local] = local if plain else dotted
                if isinstance(node, ast.ImportFrom) and _is_banned(dotted, banned):
                    findings.append(Finding(node.lineno, dotted))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            written = _dotted(node)
            if written is None:
                continue
            root, _, rest = written.partition(".")
            full = f"{bound[root]}.{rest}" if root in bound else ""
            if full and _is_banned(full, banned):
                findings.append(Finding(node.lineno, full))
    return findings


def forbidden_words(text: str, words: tuple[str, ...]) -> list[Finding]:
    """Every line that holds one of the words, in either case."""
    pattern = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)
    return [
        Finding(number, found.group())
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The full dotted name and the local name of everything a statement imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            # `import a.b` binds `a`, `import a.b as c` binds the whole.
            yield alias.name, alias.asname or alias.name.split(".")[0]
        return
    if node.level:
        return  # our own modules
    for alias in node.names:
        yield f"{node.module}.{alias.name}", alias.asname or alias.name


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c` as text, or None where the expression is not a plain dotted name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            prefix = _dotted(value)
            return f"{prefix}.{attr}" if prefix is not None else None
        case _:
            return None


def _is_banned(dotted: str, banned: frozenset[str]) -> bool:
    """Whether the name itself is banned, or a star above it."""
    if dotted in banned:
        return True
    parts = dotted.split(".")
    return any(".".join([*parts[:n], "*"]) in banned for n in range(1, len(parts)))
