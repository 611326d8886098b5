"""What a user gets: installs into an empty directory, builds examples/hello.c there by tipcurrent.pc, linked and static, and runs it. Arguments: the build directory, the C compiler."""
import glob
import os
import subprocess
import sys
import tempfile

build, compiler = sys.argv[1:]
source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "hello.c")


def run(*command, **extra):
    done = subprocess.run(command, capture_output=True, text=True, **extra)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


with tempfile.TemporaryDirectory() as where:
    root = os.path.join(where, "root")
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root)
    packages = glob.glob(f"{root}/**/pkgconfig/tipcurrent.pc", recursive=True)
    if len(packages) != 1:
        sys.exit(f"tipcurrent.pc is there {len(packages)} times")
    libraries = os.path.dirname(os.path.dirname(packages[0]))
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(packages[0]), "PKG_CONFIG_SYSROOT_DIR": root, "LD_LIBRARY_PATH": libraries}
    for name, options, defines in (("linked", [], []), ("static", ["--static"], ["-DTC_STATIC"])):
        flags = run("pkg-config", "--cflags", "--libs", *options, "tipcurrent", env=env).split()
        if options:
            flags = [f"{libraries}/libtipcurrent.a" if flag == "-ltipcurrent" else flag for flag in flags]
        program = os.path.join(where, name)
        run(compiler, "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", *defines, source, "-o", program, *flags)
        storage = f"sqlite:{where}/{name}.db"
        first, again = run(program, storage, env=env), run(program, storage, env=env)
        if not first.startswith("stored: {") or not again.startswith("known: {") or "1 in the room" not in again:
            sys.exit(f"{name}: unexpected:\n{first}{again}")
