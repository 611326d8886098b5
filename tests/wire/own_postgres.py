"""For tests that need a PostgreSQL server of their own, whatever the others run on."""

import unittest

import server
from harness import OwnDaemonCase


@unittest.skipUnless(server.binaries(), "no PostgreSQL server here: ./scripts/deps --test installs it")
class OwnPostgresCase(OwnDaemonCase):
    """One for the class (`database`), so that it can be stopped, and a schema's name for each test (`schema`)."""

    @classmethod
    def setUpClass(cls):
        cls.database = server.Server().start()
        cls.addClassCleanup(cls.database.clean_up)

    def setUp(self):
        super().setUp()
        self.schema = "t" + self.id().rsplit(".", 1)[1][-40:]
