"""A copy of the project's files, for builds that write where the sources lie."""
import os
import shutil

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def listed():
    """Paths relative to ROOT of what belongs to the project: all but hidden directories, builds and data."""
    found = []
    for where, below, names in os.walk(ROOT):
        below[:] = [d for d in below if not d.startswith((".", "build", "__pycache__")) and not (where == ROOT and d == "data")]
        found += [os.path.relpath(os.path.join(where, name), ROOT) for name in names]
    return found


def mirror(goal):
    """Makes goal a copy; what is the same already keeps its time, so that a build there goes on from the last one. What is built there stays."""
    wanted = set(listed())
    for path in wanted:
        here, there = os.path.join(ROOT, path), os.path.join(goal, path)
        if not os.path.exists(there) or os.stat(here).st_mtime != os.stat(there).st_mtime:
            os.makedirs(os.path.dirname(there), exist_ok=True)
            shutil.copy2(here, there)
    for where, below, names in os.walk(goal):
        below[:] = [d for d in below if not d.startswith((".", "build", "__pycache__"))]
        for name in names:
            if os.path.relpath(os.path.join(where, name), goal) not in wanted:
                os.remove(os.path.join(where, name))
