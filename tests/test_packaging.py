"""The environment file, the constraints and the declared dependencies say the same."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins() -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if line)}


def test_the_environment_installs_exactly_the_package_with_its_user_facing_extras():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    assert pip[0] == "-c constraints.txt"
    (extras,) = re.fullmatch(r"\.\[(.*)\]", pip[1]).groups()
    assert set(extras.split(",")) == set(EXTRAS) - {"dev"}
    (python,) = (part for part in environment["dependencies"] if str(part).startswith("python="))
    assert python.split("=")[1] in PROJECT["requires-python"]


@pytest.mark.parametrize("name", ["dependencies", *EXTRAS])
def test_every_dependency_is_pinned_to_a_version_that_it_allows(name):
    wanted = PROJECT["dependencies"] if name == "dependencies" else EXTRAS[name]
    known = pins()
    for text in wanted:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            continue
        version = known[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def test_the_packages_that_the_project_is_about_are_dependencies():
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert {"torch", "transformers", "transformer-lens", "scipy", "seaborn", "matplotlib"} <= names
    assert "jupyter" in {Requirement(text).name for text in EXTRAS["notebooks"]}


LAYERS = [
    ("cli", "report"),
    ("plots", "training", "cost", "factors"),
    ("measuring",),
    ("interventions", "checkpoints"),
    ("encoders", "samples", "results"),
    ("metrics", "statistics"),
    ("languages", "errors", "files", "progress"),
]
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}


def imports(path: Path) -> set[str]:
    """First-level xlprobe modules that a file imports when it is loaded or run, but for type checking."""
    tree = ast.parse(path.read_text())
    found = set()
    skipped = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    inside = {id(child) for node in skipped for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xlprobe"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found & set(LEVEL)


def test_imports_go_down_only():
    wrong = []
    for path in (ROOT / "xlprobe").rglob("*.py"):
        first = path.relative_to(ROOT / "xlprobe").parts[0].removesuffix(".py")
        if first not in LEVEL:
            continue
        wrong += [f"{path.name} -> {name}" for name in imports(path) if LEVEL[name] < LEVEL[first]]
    assert not wrong


@pytest.mark.parametrize("name", ["plots", "report.page"])
def test_drawing_imports_no_model(name):
    code = f"import sys, xlprobe.{name}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_import_and_help_load_nothing_heavy():
    heavy = "{'torch', 'transformers', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'pyarrow'}"
    for start in ("import xlprobe", "import xlprobe.cli", "import xlprobe.report.__main__"):
        code = f"import sys; {start}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
