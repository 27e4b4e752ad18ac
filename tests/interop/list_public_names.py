"""Writes down the public names of releases of the public Minari, and how they are called.

``tests/minari/public_names.json`` is what this wrote; ``tests/minari/test_public_signatures.py``
compares it with this project. Each argument is the Python of a virtual environment that has one
release installed::

    python tests/interop/list_public_names.py tests/minari/public_names.json PYTHON...
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# Runs in the other environment, which may have an older Python.
_LISTING = """
import importlib, inspect, json, pkgutil, sys, warnings
warnings.simplefilter("ignore")
import minari

def describe(function):
    parts, star = [], False
    for each in inspect.signature(function).parameters.values():
        if each.name in ("self", "cls") and not parts:
            continue
        if each.kind == each.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        mark = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        star = star or mark == "*"
        parts.append(mark + each.name + ("=" if each.default is not each.empty else ""))
    return ", ".join(parts)

def is_ours(value):
    return getattr(value, "__module__", None) is not None and value.__module__.startswith("minari")

found, missing = {}, {}
inside = pkgutil.walk_packages(minari.__path__, "minari.", lambda name: None)
for module_name in ["minari"] + [each.name for each in inside]:
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:
        missing[module_name] = "%s: %s" % (type(error).__name__, error)
        continue
    listed = found.setdefault(module_name, {})
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if inspect.isclass(value):
            if not is_ours(value):
                continue
            try:
                listed[name] = "class " + describe(value)
            except ValueError:
                listed[name] = "class"
            if value.__module__ != module_name:
                continue
            for member, _ in inspect.getmembers(value):
                if member.startswith("_") or not any(
                    member in vars(base) for base in value.__mro__ if is_ours(base)
                ):
                    continue
                raw = inspect.getattr_static(value, member)
                if isinstance(raw, (staticmethod, classmethod)):
                    raw = raw.__func__
                listed[name + "." + member] = describe(raw) if inspect.isfunction(raw) else "value"
            for member in getattr(value, "__dataclass_fields__", {}):
                listed[name + "." + member] = "value"
        elif inspect.isroutine(value) or callable(value):
            if is_ours(value):
                listed[name] = describe(value)
        elif type(value).__module__ in ("builtins", "re", "collections", "pathlib"):
            if not inspect.ismodule(value):
                listed[name] = "value"
json.dump({"version": minari.__version__, "found": found, "missing": missing}, sys.stdout)
"""


def list_names(pythons: list[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Return, by module, name and signature, the first and last release that has it."""
    listed: dict[str, dict[str, dict[str, str]]] = {}
    for python in pythons:
        answer = subprocess.run(
            [python, "-c", _LISTING], check=True, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        release = json.loads(answer.stdout)
        for module, problem in release["missing"].items():
            sys.stderr.write(f"{release['version']}: {module}: {problem}\n")
        for module, names in release["found"].items():
            for name, signature in names.items():
                versions = listed.setdefault(module, {}).setdefault(name, {})
                first = versions.get(signature, release["version"]).partition(" to ")[0]
                versions[signature] = " to ".join(dict.fromkeys([first, release["version"]]))
    return listed


if __name__ == "__main__":
    target, *pythons = sys.argv[1:]
    text = json.dumps(list_names(pythons), indent=1, sort_keys=True)
    Path(target).write_text(text + "\n", encoding="utf-8")
