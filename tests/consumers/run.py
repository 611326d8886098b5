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


def main():
    work = os.path.join(sys.argv[1], "consumers")
    source, prefix = os.path.join(work, "source"), os.path.join(work, "prefix")
    tree.mirror(source)
    page = sections(tree.read("docs/install.md"))
    shutil.rmtree(prefix, ignore_errors=True)

    # The page's own commands, with the test's directories in the place of the reader's.
    def local(script):
        return script.replace("/opt/tipcurrent", prefix).replace("~/src/tipcurrent", source)

    begun = time.monotonic()
    install, exports = [text for language, text in page["Install"] if language == "sh"]
    if os.path.exists(os.path.join(source, "build", "build.ninja")):
        install = install.replace("meson setup", "meson setup --reconfigure")
    shell(local(install), source)
    print(f"installed ({time.monotonic() - begun:.0f} s)", flush=True)

    program, expected = only(page["A program"], "c"), only(page["A program"], "text")
    for way in WAYS:
        begun = time.monotonic()
        where = os.path.join(work, re.sub(r"\W", "_", way))
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        blocks = dict(page[way])
        if way == "A Meson subproject":
            blocks["meson"] = only(page["Meson"], "meson")
        if way != "C++":
            blocks["c"] = program
        for language, name in FILES.items():
            if language in blocks:
                with open(os.path.join(where, name), "w", encoding="utf-8") as f:
                    f.write(blocks[language])
        said = shell(local(exports + only(page[way], "sh")), where)
        if not said.endswith("\n" + expected) and said != expected:
            sys.exit(f"{way}: printed\n{said}\nand should end with\n{expected}")
        programs = [p for p in (f"{where}/hello", f"{where}/build/hello") if os.path.exists(p)]
        linked = "libtipcurrent.so.1" in needed(programs[0])
        if linked == (way == "Static") or (way == "CMake" and "libtipcurrent" in needed(f"{where}/build/hello-static")):
            sys.exit(f"{way}: linked the other library")
        print(f"{way} ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
