"""The gates of the architecture: pure functions of source text, each giving a list of faults."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = [
    "HEAVY",
    "TABLE",
    "Import",
    "Unit",
    "cycles",
    "docstring_faults",
    "export_faults",
    "forbidden_names",
    "heavy_faults",
    "import_faults",
    "imports_of",
    "logging_faults",
    "long_bodies",
    "long_files",
    "side_effects",
    "unit_of",
]

FILE_LINES = 400
BODY_LINES = 40

Sources = Mapping[str, str]  # path relative to the repository, "hooksim/capture/rows.py": text


@dataclass(frozen=True)
class Unit:
    """A row of the import table.

    Attributes:
        permits: Units that its files may import; `errors`, `spelling` and the unit itself always.
        deferred: Those of them that may be imported inside a function only.
    """

    permits: frozenset[str] = frozenset()
    deferred: frozenset[str] = frozenset()


def row(permits: str = "", deferred: str = "") -> Unit:
    """A unit from two lists of words."""
    late = frozenset(deferred.split())
    return Unit(frozenset(permits.split()) | late, late)


RUN = "run sides capture recording blocks accumulators measures distributed"

# Design section 3, rows in its order; a row may name later files, so that it holds when they come.
TABLE: dict[str, Unit] = {
    "errors": row(),
    "spelling": row(),  # close names in messages: beside the design's table, for everyone
    "functional": row(),
    "estimators": row("functional"),
    "capture": row(),
    "storage": row(),  # whole folders or none: beside the design's table, for whoever writes them
    "recording": row("capture storage"),
    "sides": row("capture recording"),  # who reads what: beside the design's table
    "blocks": row("functional"),
    "accumulators": row("functional blocks"),
    "measures": row("accumulators"),
    "distributed": row("accumulators blocks"),
    "plotting": row(),
    "report": row(),
    "results": row("storage", deferred="plotting report"),
    "run": row("capture recording blocks accumulators measures distributed"),
    "loading": row(),
    "comparison": row(f"{RUN} results storage"),
    "trajectory": row(f"{RUN} results comparison loading"),
    "probe": row(f"{RUN} results comparison loading"),
    "callbacks": row("probe distributed results storage"),
}
TABLE["cli"] = Unit(frozenset(TABLE))
TABLE["__main__"] = row("cli")

HEAVY = frozenset({"accelerate", "datasets", "jinja2", "lightning", "matplotlib", "pandas"})
HEAVY |= {"pydantic", "sklearn", "tensorboard", "transformers", "yaml"}
HEAVY_AT_HOME = {"cli": HEAVY, "callbacks": frozenset({"transformers", "lightning"})}
LOGGERS = frozenset({"cli", "comparison"})
FORBIDDEN_STEMS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "tools"})


@dataclass(frozen=True)
class Import:
    """One imported module, and where the statement stands.

    Attributes:
        module: Dotted name; for `from a import b` it is `a.b`.
        line: Line of the statement.
        deferred: Inside a function.
        typing_only: Under `if TYPE_CHECKING:`.
    """

    module: str
    line: int
    deferred: bool
    typing_only: bool


def dotted(path: str) -> str:
    """The module of a file: `hooksim/capture/rows.py` is `hooksim.capture.rows`."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(module: str) -> str:
    """The row of the table that a module belongs to; empty for the package root."""
    return module.split(".")[1] if "." in module else ""


def imports_of(path: str, text: str) -> list[Import]:
    """Every import statement of a file, relative ones resolved."""
    package = dotted(path) if path.endswith("__init__.py") else dotted(path).rpartition(".")[0]
    found: list[Import] = []

    def visit(node: ast.AST, deferred: bool, typing_only: bool) -> None:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names = [f"{base}.{alias.name}" for alias in node.names]
        found.extend(Import(name, node.lineno, deferred, typing_only) for name in names)
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, inside, typing_only or (guarded and child in node.body))

    visit(ast.parse(text), False, False)
    return found


def inner_imports(sources: Sources) -> Iterator[tuple[str, Import, str]]:
    """Imports of the package itself: the importing path, the import, the module it reaches."""
    modules = {dotted(path) for path in sources}
    for path, text in sources.items():
        for item in imports_of(path, text):
            if item.module.split(".")[0] == "hooksim":
                parent = item.module.rpartition(".")[0]
                yield path, item, item.module if item.module in modules else parent


def import_faults(sources: Sources, table: Mapping[str, Unit] = TABLE) -> list[str]:
    """Imports that the table does not permit, imports of the root, and files without a row."""
    faults = [
        f"{path}: no row {unit_of(dotted(path))!r} in the import table"
        for path in sources
        if unit_of(dotted(path)) not in {"", *table}
    ]
    for path, item, reached in inner_imports(sources):
        where = f"{path}:{item.line}"
        home, target = unit_of(dotted(path)), unit_of(reached)
        if not home:
            if not item.typing_only:
                faults.append(f"{where}: the package root imports {item.module} at once")
        elif not target:
            faults.append(f"{where}: imports the package root ({item.module})")
        elif target not in {home, "errors", "spelling"} and home in table:
            if target not in table[home].permits:
                faults.append(f"{where}: {home} may not import {target}")
            elif target in table[home].deferred and not (item.deferred or item.typing_only):
                faults.append(f"{where}: {home} may import {target} inside a function only")
    return faults


def cycles(sources: Sources) -> list[str]:
    """Modules that import each other, through however many others; typing counts for nothing."""
    graph: dict[str, set[str]] = {dotted(path): set() for path in sources}
    for path, item, reached in inner_imports(sources):
        if not item.typing_only and reached in graph and reached != dotted(path):
            graph[dotted(path)].add(reached)
    while free := [name for name, targets in graph.items() if not targets & set(graph)]:
        for name in free:
            del graph[name]
    while free := [name for name in graph if not any(name in t for t in graph.values())]:
        for name in free:
            del graph[name]
    return sorted(graph)


def heavy_faults(sources: Sources) -> list[str]:
    """Heavy libraries imported when a module is, where nothing heavy should load."""
    faults = []
    for path, text in sources.items():
        at_home = HEAVY_AT_HOME.get(unit_of(dotted(path)), frozenset())
        for item in imports_of(path, text):
            library = item.module.split(".")[0]
            if library in HEAVY - at_home and not (item.deferred or item.typing_only):
                faults.append(f"{path}:{item.line}: imports {library} at once")
    return faults


def logging_faults(sources: Sources) -> list[str]:
    """Files that log, though what they know belongs into notes."""
    return [
        f"{path}:{item.line}: imports logging"
        for path, text in sources.items()
        for item in imports_of(path, text)
        if item.module.split(".")[0] == "logging" and unit_of(dotted(path)) not in LOGGERS
    ]


def long_files(sources: Sources, ceiling: int = FILE_LINES) -> list[str]:
    """Files above the ceiling."""
    return [
        f"{path}: {count} lines"
        for path, text in sources.items()
        if (count := len(text.splitlines())) > ceiling
    ]


def long_bodies(sources: Sources, ceiling: int = BODY_LINES) -> list[str]:
    """Functions whose code, without the docstring, is above the ceiling."""
    faults = []
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                code = node.body[1:] if ast.get_docstring(node) is not None else node.body
                count = (node.end_lineno or 0) - code[0].lineno + 1 if code else 0
                if count > ceiling:
                    faults.append(f"{path}:{node.lineno}: {node.name} has {count} lines")
    return faults


def literal_all(tree: ast.Module) -> list[str] | None:
    """The names of a literal `__all__`; None where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def bound_names(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top level, typing imports included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            names |= {
                leaf.id for leaf in ast.walk(target or ast.Pass()) if isinstance(leaf, ast.Name)
            }
    return names


def export_faults(sources: Sources) -> list[str]:
    """Modules without `__all__`, names missing in it, and names in it that do not exist."""
    faults = []
    for path, text in sources.items():
        tree = ast.parse(text)
        listed = literal_all(tree)
        public = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        }
        if listed is None:
            if tree.body[1:] or not ast.get_docstring(tree):  # a docstring alone exports nothing
                faults.append(f"{path}: no __all__")
            continue
        faults += [f"{path}: {name} is not in __all__" for name in sorted(public - set(listed))]
        missing = sorted(set(listed) - bound_names(tree))
        faults += [f"{path}: __all__ lists {name}, which is not there" for name in missing]
        if len(set(listed)) < len(listed):
            faults.append(f"{path}: __all__ lists a name twice")
    return faults


def docstring_faults(sources: Sources) -> list[str]:
    """Modules, public functions, classes and their public methods without a docstring."""
    faults = []
    for path, text in sources.items():
        tree = ast.parse(text)
        if not ast.get_docstring(tree):
            faults.append(f"{path}: the module has no docstring")
        owners: list[tuple[str, ast.AST]] = [("", tree)]
        while owners:
            prefix, owner = owners.pop()
            for node in ast.iter_child_nodes(owner):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    if node.name.startswith("_") or is_overload(node):
                        continue
                    if not ast.get_docstring(node):
                        faults.append(f"{path}:{node.lineno}: {prefix}{node.name} has no docstring")
                    if isinstance(node, ast.ClassDef):
                        owners.append((f"{prefix}{node.name}.", node))
    return faults


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A typing overload or a property's setter, whose docstring stands elsewhere."""
    words = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(words & {"overload", "setter"})


def side_effects(sources: Sources) -> list[str]:
    """Statements that do something when a module is imported, beyond binding names."""
    binding = (
        ast.Import
        | ast.ImportFrom
        | ast.Assign
        | ast.AnnAssign
        | ast.FunctionDef
        | ast.ClassDef
        | ast.AsyncFunctionDef
    )
    faults = []
    for path, text in sources.items():
        for node in ast.parse(text).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guarded = isinstance(node, ast.If) and (
                "TYPE_CHECKING" in ast.unparse(node.test) or "__main__" in ast.unparse(node.test)
            )
            if not (isinstance(node, binding) or guarded or docstring):
                faults.append(f"{path}:{node.lineno}: {ast.unparse(node).splitlines()[0]}")
    return faults


def forbidden_names(sources: Sources) -> list[str]:
    """Files and folders named after nothing in particular."""
    return [
        path
        for path in sources
        if {part.strip("_") for part in PurePosixPath(path).with_suffix("").parts} & FORBIDDEN_STEMS
    ]
