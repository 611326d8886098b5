"""The Debian packages: built from a copy of the tree by dpkg-buildpackage, clean under lintian, unpacked, and used: the page's program against libtipcurrent-dev, the daemon with its own
configuration, the README's program against python3-tipcurrent. Arguments: the build directory, below which all happens (consumers/deb), and the project's version.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import run  # noqa: E402
import tree  # noqa: E402

LOADED = ("libcurl.so.4", "libpq.so.5")  # while it runs: dpkg-shlibdeps does not see them
PACKAGES = {"libtipcurrent1", "libtipcurrent-dev", "tipcurrentd", "python3-tipcurrent"}


def call(*command, cwd=None, **env):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-20000:]}")
    return done.stdout


def build(work, version):
    source = os.path.join(work, "source")
    shutil.rmtree(work, ignore_errors=True)
    tree.mirror(source)
    said = call("dpkg-parsechangelog", "-S", "Version", cwd=source).strip()
    if said != version:
        sys.exit(f"debian/changelog is at {said}, meson.build at {version}")
    call("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, DEB_BUILD_OPTIONS="parallel=2")
    made = {os.path.basename(path).split("_")[0] for path in glob.glob(f"{work}/*.deb")}
    made = {name for name in made if not name.endswith("-dbgsym")}
    if made != PACKAGES:
        sys.exit(f"packages {sorted(made)}, expected {sorted(PACKAGES)}")
    said = call("lintian", "--allow-root", "--fail-on", "error,warning", *glob.glob(f"{work}/*.changes"))
    if re.search(r"^[EW]:", said, re.M):
        sys.exit(said)


def depends(work):
    """What the library loads comes along with its package."""
    (package,) = glob.glob(f"{work}/libtipcurrent1_*.deb")
    said = call("dpkg-deb", "-f", package, "Depends")
    for file in LOADED:
        owners = set(re.findall(r"^([^:\s]+):", call("dpkg", "-S", f"*/{file}"), re.M))
        if not owners & set(re.findall(r"[a-z0-9][a-z0-9.+-]+", re.sub(r"\([^)]*\)", "", said))):
            sys.exit(f"libtipcurrent1 depends on {said}, not on {sorted(owners)}, which has {file}")


def library(work, root):
    """The program of docs/install.md, against what the two library packages hold."""
    folder = glob.glob(f"{root}/usr/lib/*/pkgconfig")
    if len(folder) != 1:
        sys.exit(f"pkgconfig directories: {folder}")
    env = {"PKG_CONFIG_LIBDIR": f"{folder[0]}:{call('pkg-config', '--variable=pc_path', 'pkg-config').strip()}", "PKG_CONFIG_SYSROOT_DIR": root, "LD_LIBRARY_PATH": os.path.dirname(folder[0])}
    page = run.sections(tree.read("docs/install.md"))["A program"]
    with open(os.path.join(work, "hello.c"), "w", encoding="utf-8") as f:
        f.write(run.only(page, "c"))
    flags = call("pkg-config", "--cflags", "--libs", "tipcurrent", **env).split()
    call("cc", "hello.c", "-o", "hello", *flags, cwd=work)
    said = call("./hello", cwd=work, **env)
    if said != run.only(page, "text"):
        sys.exit(f"hello printed {said!r}")


def manual(root):
    """`man` finds what the headers say, and the daemon."""
    for name, words in (("tc_tip_create", "durable commit"), ("tipcurrentd", "--print-defaults")):
        said = call("man", "-M", f"{root}/usr/share/man", name, MANWIDTH="200", LC_ALL="C.UTF-8")
        if words not in said:
            sys.exit(f"man {name} does not say {words!r}:\n{said}")


def daemon(root):
    """The unit starts a program that is there, with a file that is there and that the program takes."""
    with open(f"{root}/lib/systemd/system/tipcurrentd.service", encoding="utf-8") as f:
        command = re.search(r"^ExecStart=(.*)$", f.read(), re.M).group(1).split()
    places = [f"{root}{word}" if word.startswith("/") else word for word in command]
    (libraries,) = glob.glob(f"{root}/usr/lib/*/pkgconfig/..")
    said = call(*places, "--check-config", LD_LIBRARY_PATH=libraries)
    if not re.search(r"^storage = sqlite:/var/lib/tipcurrent/tipcurrent\.db$", said, re.M):
        sys.exit(f"the packaged configuration keeps its data elsewhere:\n{said}")


def python(work, root):
    """The README's program, by Debian's Python with what the package holds."""
    code = run.only(run.sections(tree.read("README.md"))["In your own program"], "python")
    (libraries,) = glob.glob(f"{root}/usr/lib/*/libtipcurrent.so.1")
    said = call("/usr/bin/python3", "-c", code, cwd=work, PYTHONPATH=f"{root}/usr/lib/python3/dist-packages", LD_LIBRARY_PATH=os.path.dirname(libraries), PYTHONDONTWRITEBYTECODE="1", TIPCURRENT_LIBRARY="")
    if said != "1 100.00\nalice gave 100.00\n":
        sys.exit(f"the Python package printed {said!r}")


def main():
    work, version = os.path.join(sys.argv[1], "consumers", "deb"), sys.argv[2]
    missing = [tool for tool in ("dpkg-buildpackage", "dh", "lintian") if not shutil.which(tool)]
    if missing:
        sys.exit(f"missing: {' '.join(missing)}; ./scripts/deps --test installs them")
    build(work, version)
    depends(work)
    root = os.path.join(work, "root")
    for path in glob.glob(f"{work}/*.deb"):
        if "-dbgsym" not in path:
            call("dpkg-deb", "-x", path, root)
    library(work, root)
    manual(root)
    daemon(root)
    python(work, root)


if __name__ == "__main__":
    main()
