#!/usr/bin/env python3
"""A real PostgreSQL server for tests and benchmarks: a data directory of its own, a free port, fsync on; gone when it is stopped, or when we are.

server.py [--need] COMMAND...   runs COMMAND with TIPCURRENT_TEST_PG=postgresql://... of a fresh server.
Without PostgreSQL's packages the exit code is 77 (a skipped test); --need: 1.
"""

import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
START_S = 60.0
USER, PASSWORD, DATABASE = "tc", "s3cret/pass", "tc"


def binaries():
    """The directory of initdb and postgres, or None."""
    places = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]) if p.split("/")[4].isdigit() else 0, reverse=True)
    found = shutil.which("initdb")
    places += [os.path.dirname(found)] if found else []
    return next((place for place in places if os.access(place + "/initdb", os.X_OK) and os.access(place + "/postgres", os.X_OK)), None)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, tls=False, **settings):
        """tls: only by TLS, with a certificate of its own for 127.0.0.1 (self.certificate)."""
        self.bin = binaries()
        if not self.bin:
            raise FileNotFoundError("no PostgreSQL server here: ./scripts/deps --test installs it")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tipcurrent-pg-"))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.settings = settings
        self.process = None
        self.known = False
        self.port = free_port()
        self.certificate = self.directory / "server.crt"
        try:
            self._make()
            if tls:
                self._make_certificate()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _as_server(self):
        """PostgreSQL refuses to run as root; and it ends when we end, however that is."""
        command = ["setpriv", "--pdeathsig", "QUIT"]
        if os.geteuid() == 0:
            name = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
            entry = pwd.getpwnam(name)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
            command += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]
        return command

    def _make(self):
        secret = self.directory / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        command = ["-D", str(self.data), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        prefix = self._as_server()
        made = subprocess.run([*prefix, self.bin + "/initdb", *command], capture_output=True, text=True, cwd=self.directory)
        if made.returncode:
            raise RuntimeError("initdb: " + made.stdout + made.stderr)
        secret.unlink()
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def _make_certificate(self):
        key = self.directory / "server.key"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, "-keyout", str(key), "-out", str(self.certificate)], check=True, capture_output=True)
        owner = self.data.stat()
        os.chown(key, owner.st_uid, owner.st_gid)
        key.chmod(0o600)
        self.certificate.chmod(0o644)
        self.settings.update(ssl="on", ssl_cert_file=self.certificate, ssl_key_file=key)
        (self.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")

    def start(self):
        for left in range(5, -1, -1):
            try:
                return self._start()
            except RuntimeError:
                # The port was free a moment ago; once somebody knows it, it stays.
                if self.known or not left or "Address already in use" not in self.log.read_text("utf-8", "replace"):
                    raise
                self.port = free_port()

    def _start(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory, "fsync": "on", "max_connections": 100, **self.settings}
        flags = [part for name, value in settings.items() for part in ("-c", "%s=%s" % (name, value))]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self._as_server(), self.bin + "/postgres", "-D", str(self.data), *flags], stdout=log, stderr=log, cwd=self.directory)
        deadline = time.monotonic() + START_S
        while subprocess.run([self.bin + "/pg_isready", "-q", "-h", str(self.directory), "-p", str(self.port)]).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not start:\n" + self.log.read_text("utf-8", "replace")[-3000:])
            time.sleep(0.02)
        if DATABASE not in self.sql("SELECT datname FROM pg_database", "postgres").split():
            self.sql("CREATE DATABASE " + DATABASE, "postgres")
        self.known = True
        return self

    def stop(self, how=signal.SIGINT):
        """SIGINT: in order, at once; SIGQUIT: as after a crash."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def signal_all(self, number):
        """To the postmaster and all its processes: SIGSTOP is a machine that stands still, SIGCONT one that goes on."""
        children = pathlib.Path("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)).read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def clean_up(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def psql(self, database=DATABASE):
        return [self.bin + "/psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", str(self.directory), "-p", str(self.port), "-U", USER, "-d", database]

    def sql(self, text, database=DATABASE):
        done = subprocess.run([*self.psql(database), "-c", text], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("psql: " + done.stderr)
        return done.stdout

    def url(self, schema=None, host=None, password=None):
        """By its socket; host: by TCP, with the password."""
        who = USER + (":" + password.replace("/", "%2F") if password else "")
        where = "%s:%d" % (host or str(self.directory).replace("/", "%2F"), self.port)
        return "postgresql://%s@%s/%s%s" % (who, where, DATABASE, "?options=-csearch_path%%3D%s" % schema if schema else "")

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.clean_up()


def main():
    command = sys.argv[1:]
    need = command[:1] == ["--need"]
    command = command[1:] if need else command
    if not command:
        print(__doc__)
        return 2
    try:
        server = Server()
    except FileNotFoundError as reason:
        print("skipped: %s" % reason)
        return 1 if need else SKIPPED
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))
    with server:
        done = subprocess.run(command, env={**os.environ, "TIPCURRENT_TEST_PG": server.url()})
        return done.returncode if done.returncode >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
