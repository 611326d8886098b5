"""The log locked by somebody else: what a create has to wait for."""

import sqlite3
import subprocess

import harness


class SqliteLock:
    """Another process's transaction: BEGIN IMMEDIATE on the log, held until leave()."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self.connection.execute("BEGIN IMMEDIATE")

    def leave(self):
        self.connection.execute("ROLLBACK")
        self.connection.close()


class PostgresLock:
    """Another session's transaction: it has the row by which appends stand in line."""

    def __init__(self, daemon):
        self.process = subprocess.Popen(harness.POSTGRES.psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write("BEGIN; SELECT 'locked' FROM %s.log_end FOR UPDATE;\n" % harness.schema_of(daemon.database))
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if said != "locked\n":
            raise AssertionError("psql says %r" % said)

    def leave(self):
        self.process.communicate("ROLLBACK;\n", 30)


def lock_log(daemon):
    return SqliteLock(daemon.database) if harness.POSTGRES is None else PostgresLock(daemon)
