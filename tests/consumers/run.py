"""docs/install.md, done to the letter: installs into an empty prefix, then builds and runs the page's program each way that the page tells, by its own commands, and compares what it prints.

Argument: the build directory, below which all happens (consumers/). The compiled objects stay there between runs; the prefix and the consumers are made anew.
"""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import tree  # noqa: E402

WAYS = ("pkg-config", "Static", "CMake", "Meson", "A Meson subproject", "C++")
FILES = {"c": "hello.c", "cpp": "hello.cpp", "cmake": "CMakeLists.txt", "meson": "meson.build"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def sections(text):
    """{heading: [(language, text)]} of a page."""
    parts = re.split(r"^## +(.*)\n", text, flags=re.M)
    return {heading.strip(): BLOCK.findall(body) for heading, body in zip(parts[1::2], parts[2::2])}


def only(blocks, language):
    found = [text for name, text in blocks if name == language]
    if len(found) != 1:
        sys.exit(f"docs/install.md: {len(found)} blocks of {language} where one is expected")
    return found[0]


def shell(script, where):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"in {where}: exit {done.returncode}\n{script}\n{done.stdout}")
    return done.stdout


def needed(program):
    return subprocess.run(["readelf", "-d", program], stdout=subprocess.PIPE, text=True, check=True).stdout


class Reader:
    """Somebody who follows the page, with directories of the test's in the place of his own."""

    def __init__(self, work):
        self.work, self.source, self.prefix = work, os.path.join(work, "source"), os.path.join(work, "prefix")
        self.page = sections(tree.read("docs/install.md"))
        self.install, self.exports = [text for language, text in self.page["Install"] if language == "sh"]
        self.program, self.expected = only(self.page["A program"], "c"), only(self.page["A program"], "text")

    def run(self, script, where):
        return shell(script.replace("/opt/tipcurrent", self.prefix).replace("~/src/tipcurrent", self.source), where)

    def do_install(self):
        tree.mirror(self.source)
        for name in ("prefix", "prefix-moved"):
            shutil.rmtree(os.path.join(self.work, name), ignore_errors=True)
        again = os.path.exists(os.path.join(self.source, "build", "build.ninja"))
        self.run(self.install.replace("meson setup", "meson setup --reconfigure") if again else self.install, self.source)

    def build(self, way):
        where = os.path.join(self.work, re.sub(r"\W", "_", way))
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        blocks = dict(self.page[way])
        if way != "C++":
            blocks["c"] = self.program
        for language, name in FILES.items():
            if language in blocks:
                with open(os.path.join(where, name), "w", encoding="utf-8") as f:
                    f.write(blocks[language])
        said = self.run(self.exports + only(self.page[way], "sh"), where)
        if not ("\n" + said).endswith("\n" + self.expected):
            sys.exit(f"{way}: printed\n{said}\nand should end with\n{self.expected}")
        programs = [p for p in (f"{where}/hello", f"{where}/build/hello") if os.path.exists(p)]
        static = f"{where}/build/hello-static"
        if ("libtipcurrent.so.1" in needed(programs[0])) == (way == "Static") or (os.path.exists(static) and "libtipcurrent" in needed(static)):
            sys.exit(f"{way}: linked the other library")


def timed(what, act, *args):
    begun = time.monotonic()
    act(*args)
    print(f"{what} ({time.monotonic() - begun:.0f} s)", flush=True)


def main():
    reader = Reader(os.path.join(sys.argv[1], "consumers"))
    timed("installed", reader.do_install)
    for way in WAYS:
        timed(way, reader.build, way)
    # "The installed tree may be moved as a whole for CMake."
    os.rename(reader.prefix, reader.prefix + "-moved")
    reader.prefix += "-moved"
    timed("CMake, moved", reader.build, "CMake")


if __name__ == "__main__":
    main()
