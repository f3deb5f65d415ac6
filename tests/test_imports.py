"""Imports run one way, and the heavy packages stay where they belong: read off the source of every product file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("datasets", "trainables", "search", "mlflow_server")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imported(node: ast.AST, *, types_too: bool) -> set[str]:
    """Top-level names of everything that is imported anywhere below a node."""
    names: set[str] = set()
    if isinstance(node, ast.Import):
        names |= {alias.name.partition(".")[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        names.add(str(node.module).partition(".")[0])
    children = node.orelse if is_type_checking(node) and not types_too else ast.iter_child_nodes(node)
    return names.union(*(imported(child, types_too=types_too) for child in children))


def importers(package: str, *, types_too: bool) -> set[str]:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    return {name for name, tree in trees.items() if package in imported(tree, types_too=types_too)}


COMMANDS = {"datasets/show.py"}
"""Named like what they show, but lines that call a later package: nothing imports them."""


@pytest.mark.parametrize(
    ("package", "not_in"),
    [
        ("mlflow_server", ("datasets", "trainables", "search")),
        ("search", ("datasets", "trainables")),
        ("trainables", ("datasets", "mlflow_server")),
        ("torch", ("datasets",)),
        ("tests", PACKAGES),
        ("benchmarks", PACKAGES),
    ],
)
def test_imports_run_one_way(package, not_in):
    found = {name for name in importers(package, types_too=True) if name.startswith(not_in)}
    assert found == (COMMANDS if package == "search" else set())


def modules(tree: ast.AST) -> set[str]:
    """Full names of all that is imported anywhere, of ``from a import b`` both ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_nothing_imports_a_command_that_calls_a_later_package():
    commands = {name.removesuffix(".py").replace("/", ".") for name in COMMANDS}
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name for name, tree in trees.items() if modules(tree) & commands} == set()
    source = "def f():\n    from datasets import show\nimport a, b.c\nfrom d.e import g"
    assert modules(ast.parse(source)) == {"datasets", "datasets.show", "a", "b.c", "d.e", "d.e.g"}


OPTUNA = {f"search/{name}.py" for name in ("proposer", "thompson", "importance", "study")}
RAY = {
    "trainables/trial.py",
    *(
        f"search/{name}.py"
        for name in ("tuning", "cluster", "nodes", "shipping", "testing", "run", "checks/machine", "checks/nodes")
    ),
}


@pytest.mark.parametrize(
    ("package", "allowed", "types_too"),
    [
        ("ray", RAY, True),
        ("pyarrow", {"trainables/object_store.py", "search/checks/on_node.py"}, True),
        ("mlflow", {"search/recorder.py", "search/mlflow_rows.py", "search/served.py"}, True),
        ("optuna", OPTUNA | {"search/space.py", "search/warm_start.py"}, True),
        ("optuna", OPTUNA, False),
    ],
)
def test_heavy_packages_are_imported_in_few_files(package, allowed, types_too):
    found = {name for name in importers(package, types_too=types_too) if not name.startswith("mlflow_server/")}
    assert found - allowed == set()
    assert found, f"nothing imports {package}: does this test still see imports?"


def test_the_reader_of_imports_sees_them_everywhere():
    source = (
        "import a.b\nfrom c.d import e\ndef f():\n    import g\n"
        "if TYPE_CHECKING:\n    import h\nelse:\n    import i\nclass J:\n    try:\n        from k import l\n"
        "    finally:\n        pass\n"
    )
    assert imported(ast.parse(source), types_too=True) == set("acghik")
    assert imported(ast.parse(source), types_too=False) == set("acgik")


def test_our_datasets_package_is_the_one_that_other_packages_find_too():
    script = "import mlflow, ray.tune, datasets; print(datasets.__file__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip().splitlines()[-1]) == ROOT / "datasets/__init__.py"
