"""The house rules as small functions: a module in, messages out.

`tests/test_tidy.py` applies them to every file and proves that each of them can fail.
"""

import ast
import graphlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dcsim.units import unit_of

ROOT = Path(__file__).resolve().parents[1]

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 70
MAX_COMPLEXITY = 10
MAX_SCENARIO_LINES = 60

LAYERS = (
    {"units", "errors", "draws", "kernel", "contract"},
    {"catalog"},
    {"scenario"},
    {"world"},
    {"trace", "inputs", "workload"},
    {"physics", "engine"},
    {"processes", "sources"},
    {"simulation", "audit"},
    {"accounting"},
    {"report"},
    {"ranges"},
    {"api"},
    {"campaign"},
    {"commands"},
    {"cli"},
)
TOP = ["cli", "dcsim"]  # only the command line may use the package as its users do
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
FENCES = {
    "numba": {"physics", "workload", "draws", "kernel"},
    "simpy": {"engine", "processes"},
    "networkx": {"world", "report"},
    "dask": {"campaign"},
    "distributed": {"campaign"},
}
CLOCKS = {"now", "utcnow", "today"}
LAZY = {"import_module", "__import__", "find_spec"}
PURE = ("_x", "_exponent", "_sigma")
FLOATS = {"float", "real", "f32", "f64", "float32", "float64"}
SEEDED = {"Generator", "Philox"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Module(NamedTuple):
    """One source file: its dotted name, its text and its syntax tree."""

    name: str
    text: str
    tree: ast.Module
    is_package: bool = False

    @property
    def part(self) -> str:
        """The part of dcsim that it belongs to; empty outside dcsim and for `dcsim` itself."""
        first, _, rest = self.name.partition(".")
        return rest.split(".")[0] if first == "dcsim" else ""

    def at(self, node: ast.AST, message: str) -> str:
        """The message with where it arose."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {message}"


def parse(name: str, text: str, is_package: bool = False) -> Module:
    """A module from its dotted name and source text."""
    return Module(name, text, ast.parse(text), is_package)


def modules(*folders: str) -> list[Module]:
    """Every Python file below folders of the repository, in order of path."""
    found = []
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        names = path.relative_to(ROOT).with_suffix("").parts
        is_package = names[-1] == "__init__"
        name = ".".join(names[:-1] if is_package else names)
        found.append(parse(name, path.read_text(encoding="utf-8"), is_package))
    return found


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Each import, lazy ones too, as (node, dotted name of what is imported)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            yield from ((node, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in LAZY:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node, first.value


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    package = package[: len(package) - node.level + module.is_package]
    return ".".join([*package, *filter(None, [node.module])])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


# --- what may import what


def layering(module: Module) -> Iterator[str]:
    """Imports go down only, also inside functions; parts of one layer do not know each other."""
    if not module.part:
        return
    for node, target in imports(module):
        names = target.split(".")
        if names[0] != "dcsim" or names[1:] == ["__version__"] or [module.part, *names] == TOP:
            continue
        part = names[1] if len(names) > 1 else ""
        if part not in RANK:
            yield module.at(node, f"imports {target}: import it from the part that defines it")
        elif module.part not in RANK:
            yield module.at(module.tree, f"dcsim/{module.part} has no layer: give it one in LAYERS")
        elif part != module.part and not _is_below(part, module.part):
            yield module.at(node, f"{module.part} imports {target}, which is not below it")


def _is_below(part: str, user: str) -> bool:
    return RANK[part] < RANK[user] or RANK[part] == RANK[user] == 0


def fences(module: Module) -> Iterator[str]:
    """Third-party packages that only some parts may import."""
    for node, target in imports(module):
        package = target.split(".")[0]
        if module.part and module.part not in FENCES.get(package, {module.part}):
            allowed = ", ".join(sorted(FENCES[package]))
            yield module.at(node, f"imports {package}, which only {allowed} may")


def cycles(everything: Sequence[Module]) -> Iterator[str]:
    """No import cycle, lazy imports counted; `dcsim` itself only re-exports."""
    names = {module.name for module in everything}
    graph = {
        module.name: {_home(target, names) for _, target in imports(module)} & names - {module.name}
        for module in everything
        if module.name != "dcsim"
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield "import cycle: " + " <- ".join(error.args[1])


def _home(target: str, names: set[str]) -> str:
    return target if target in names else target.rpartition(".")[0]


# --- sizes and names


def file_length(module: Module) -> Iterator[str]:
    """Files stay short."""
    lines = module.text.count("\n")
    if lines > MAX_FILE_LINES:
        yield module.at(module.tree, f"{lines} lines, more than {MAX_FILE_LINES}")


def function_length(module: Module) -> Iterator[str]:
    """Functions stay short, their docstring not counted."""
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTIONS):
            lines = _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
            if lines > MAX_FUNCTION_LINES:
                yield module.at(node, f"{node.name}: {lines} lines, over {MAX_FUNCTION_LINES}")


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complexity_waivers(module: Module) -> Iterator[str]:
    """Complexity is ruff's C901, and nobody switches it off."""
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(r"#\s*(ruff:\s*)?noqa(:.*\bC90|\s*$)", line):
            yield f"{module.name}:{number}: waives the limit on complexity"


def module_names(module: Module) -> Iterator[str]:
    """No drawer for odds and ends, and no module named like something its package exports."""
    if module.name.rpartition(".")[2] in {"utils", "helpers", "base", "common", "misc"}:
        yield module.at(module.tree, "is named after no mechanism")
    if module.is_package:
        for node, target in imports(module):
            source, _, name = target.rpartition(".")
            if source == f"{module.name}.{name}":
                yield module.at(node, f"exports {name} over its module {source}")


def class_names(module: Module) -> Iterator[str]:
    """A class is named for what it is."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and re.search("Manager|Entity", node.name):
            yield module.at(node, f"class {node.name}: name what it is")


def stubs(module: Module) -> Iterator[str]:
    """What is there works."""
    for number, line in enumerate(module.text.splitlines(), 1):
        if module.part and re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line):
            yield f"{module.name}:{number}: a stub"


def private_names(module: Module) -> Iterator[str]:
    """A private name of a module is used in it."""
    for node in module.tree.body:
        for name in [] if _is_registered(node) else _bound(node):
            unused = len(re.findall(rf"\b{name}\b", module.text)) < 2
            if name.startswith("_") and not name.startswith("__") and unused:
                yield module.at(node, f"{name} is never used")


def _is_registered(node: ast.stmt) -> bool:
    calls = [d for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Call)]
    return any(_called(call) in {"overload", "command"} for call in calls)


def public_names(everything: Sequence[Module], elsewhere: str = "") -> Iterator[str]:
    """A public name of dcsim is used somewhere, were it only by a test or in `elsewhere`."""
    words: dict[str, int] = {}
    for word in re.findall(r"\w+", "\n".join([*(m.text for m in everything), elsewhere])):
        words[word] = words.get(word, 0) + 1
    for module in everything:
        if module.part:
            for node in module.tree.body:
                for name in _bound(node):
                    if not name.startswith("_") and words[name] < 2:
                        yield module.at(node, f"{name} is never used")


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [_name(node.target)] if isinstance(node, ast.AnnAssign) and _name(node.target) else []


# --- same seed, same bytes


def wall_clock(module: Module) -> Iterator[str]:
    """No wall clock outside the progress display."""
    if not module.part or module.name == "dcsim.report.progress":
        return
    for node, target in imports(module):
        if target.split(".")[0] == "time":
            yield module.at(node, "reads the wall clock")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).rpartition(".")[2]
            if node.func.attr in CLOCKS and owner in {"datetime", "date", "Timestamp"}:
                yield module.at(node, f"reads the wall clock by {owner}.{node.func.attr}")


def randomness(module: Module) -> Iterator[str]:
    """Draws come from dcsim.draws: no `random`, no numpy generator without a key."""
    if not module.part:
        return
    for node, target in imports(module):
        package, _, name = target.rpartition(".")
        unkeyed = target == "numpy.random" or (package == "numpy.random" and name not in SEEDED)
        if unkeyed or target.split(".")[0] in {"random", "secrets", "uuid"}:
            yield module.at(node, f"imports {target}: draws come from dcsim.draws")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr not in SEEDED:
            owner = ast.unparse(node.value)
            if owner in {"np.random", "numpy.random"}:
                yield module.at(node, f"uses {owner}.{node.attr}: draws come from dcsim.draws")


def identity(module: Module) -> Iterator[str]:
    """No hash() and no id(): they differ from process to process."""
    for node in ast.walk(module.tree):
        if module.part and isinstance(node, ast.Call) and _name(node.func) in {"hash", "id"}:
            yield module.at(node, f"calls {_name(node.func)}()")


def set_order(module: Module) -> Iterator[str]:
    """Nothing is done in the order of a set; sort it first."""
    if not module.part:
        return
    for node in ast.walk(module.tree):
        walked: list[ast.expr] = []
        if isinstance(node, ast.For | ast.comprehension):
            walked = [node.iter]
        elif isinstance(node, ast.Call) and _called(node) in {"list", "tuple", "enumerate", "join"}:
            walked = node.args
        if any(_is_set(item) for item in walked):
            yield module.at(node.iter if isinstance(node, ast.comprehension) else node, "set order")


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return any(_is_set(side) or _is_keys(side) for side in (node.left, node.right))
    is_call = isinstance(node, ast.Call) and _name(node.func) in {"set", "frozenset"}
    return is_call or isinstance(node, ast.Set | ast.SetComp)


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _called(node) == "keys"


def yields_in_gate(module: Module) -> Iterator[str]:
    """Nothing waits inside `with ... .change(...)`; tests may, to see it refused."""
    for node in ast.walk(module.tree) if module.part else ():
        if isinstance(node, ast.With | ast.AsyncWith) and any(map(_is_gate, node.items)):
            for statement in node.body:
                for inner in _same_function(statement):
                    if isinstance(inner, ast.Yield | ast.YieldFrom | ast.Await):
                        yield module.at(inner, "yields inside the gate")


def _is_gate(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and _called(call) == "change"


def _same_function(node: ast.AST) -> Iterator[ast.AST]:
    if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _same_function(child)


# --- what must be said


def docstrings(module: Module) -> Iterator[str]:
    """Modules, and public classes, functions and methods say what they are."""
    if module.part:
        yield from _undocumented(module, module.tree, "the module")


def _undocumented(
    module: Module, node: ast.Module | ast.ClassDef | Function, what: str
) -> Iterator[str]:
    if not ast.get_docstring(node) and not _is_overload(node):
        yield module.at(node, f"{what} has no docstring")
    if not isinstance(node, FUNCTIONS):
        for child in node.body:
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)) and not child.name.startswith("_"):
                yield from _undocumented(module, child, child.name)


def _is_overload(node: ast.Module | ast.ClassDef | Function) -> bool:
    return isinstance(node, FUNCTIONS) and "overload" in map(_name, node.decorator_list)


def physics_docstrings(module: Module) -> Iterator[str]:
    """A mechanism states where it is valid, how accurate it is and where it comes from."""
    if module.part == "physics" and any(map(_is_mechanism, module.tree.body)):
        text = ast.get_docstring(module.tree) or ""
        for word in ("Valid", "Accuracy", "Source"):
            if word not in text:
                yield module.at(module.tree, f"its docstring does not say '{word}'")


def _is_mechanism(node: ast.stmt) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return isinstance(node, ast.ClassDef) or any(_root(d) == "kernel" for d in decorators)


def _root(decorator: ast.expr) -> str:
    return _called(decorator) if isinstance(decorator, ast.Call) else _name(decorator)


def unit_suffixes(module: Module) -> Iterator[str]:
    """Each float of a record in world/ and physics/ says its unit, or that it is pure."""
    if module.part not in {"world", "physics"}:
        return
    for record in ast.walk(module.tree):
        if isinstance(record, ast.ClassDef):
            for field in record.body:
                if isinstance(field, ast.AnnAssign) and _is_float(field.annotation):
                    name = ast.unparse(field.target)
                    if unit_of(name) is None and not name.endswith(PURE):
                        yield module.at(field, f"{record.name}.{name} has no unit suffix")


def _is_float(annotation: ast.expr) -> bool:
    words = re.findall(r"\w+", ast.unparse(annotation))
    return any(word.lower() in FLOATS for word in words)


def scenario_page(name: str, text: str) -> Iterator[str]:
    """A scenario is one page that explains itself."""
    lines = text.splitlines()
    comments = sum("#" in line for line in lines)
    if len(lines) > MAX_SCENARIO_LINES:
        yield f"{name}: {len(lines)} lines, more than {MAX_SCENARIO_LINES}"
    if not text.startswith("#") or comments < 3:
        yield f"{name}: starts with no comment, or has fewer than three"
