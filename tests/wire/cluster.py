"""Three tipcurrentd on one database, and ways to come between a node and the database: a network namespace whose cable is pulled, and a proxy that passes nothing on any more."""

import os
import selectors
import socket
import subprocess
import threading

import server
from harness import Daemon, wait_for

NAMES = ("a", "b", "c")
TAKE_OVER_S = 15.0


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError("%s: %s" % (" ".join(command), done.stderr.strip()))


class Namespace:
    """A network namespace with two cables: one to the database, which can be pulled, and one to clients and receivers. OSError where it may not be made."""

    def __init__(self):
        self.name = "tipcurrent-%d" % os.getpid()
        self.devices = ["tcd%d" % os.getpid(), "tcc%d" % os.getpid()]
        net = "198.18.%d." % (os.getpid() % 256)  # for tests of networks (RFC 2544): nobody's
        self.database_host, self.receiver_host, self.node_host = net + "1", net + "5", net + "6"
        self.prefix = ["nsenter", "--net=/run/netns/" + self.name]
        run("ip", "netns", "add", self.name)
        try:
            run(*self.prefix, "ip", "link", "set", "lo", "up")
            for device, outside, inside in zip(self.devices, (net + "1", net + "5"), (net + "2", net + "6")):
                run("ip", "link", "add", device, "type", "veth", "peer", "name", device + "i", "netns", self.name)
                run("ip", "addr", "add", outside + "/30", "dev", device)
                run("ip", "link", "set", device, "up")
                run(*self.prefix, "ip", "addr", "add", inside + "/30", "dev", device + "i")
                run(*self.prefix, "ip", "link", "set", device + "i", "up")
        except OSError:
            self.close()
            raise

    def cut(self):
        run("ip", "link", "set", self.devices[0], "down")

    def mend(self):
        run("ip", "link", "set", self.devices[0], "up")

    def close(self):
        for device in self.devices:  # a namespace lives as long as somebody is in it
            subprocess.run(["ip", "link", "del", device], capture_output=True)
        run("ip", "netns", "del", self.name)


class Proxy:
    """Passes bytes on to the database; cut, it takes them and keeps them, as a network does that loses no connection, and delivers them late when it is mended."""

    prefix, node_host, receiver_host = (), "127.0.0.1", "127.0.0.1"

    def __init__(self, port):
        self.port, self.over = port, False
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with selectors.DefaultSelector() as ready:
            ready.register(self.listener, selectors.EVENT_READ)
            while not self.over:
                if ready.select(0.2):
                    threading.Thread(target=self.join, args=(self.listener.accept()[0],), daemon=True).start()

    def join(self, node):
        self.open.wait()
        try:
            database = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            node.close()
            return
        for side in (node, database):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self.pump, args=(database, node), daemon=True)
        back.start()
        self.pump(node, database)
        back.join()
        node.close()
        database.close()

    def pump(self, source, target):
        try:
            while data := source.recv(65536):
                self.open.wait()
                target.sendall(data)
        except OSError:
            pass  # one of the two was killed: the other one is told so below
        self.open.wait()
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.open.clear()

    def mend(self):
        self.open.set()

    def close(self):
        self.over = True
        self.open.set()
        self.listener.close()


class Cluster:
    """Nodes a (by the database's socket), b (through a proxy) and c (in a namespace; where that may not be made, through another proxy), in a schema of their own."""

    FLAGS = ("--create-deadline-ms", "1500", "--webhook-retry-schedule", "1s,1s,2s,2s,5s,5s", "--allow-receivers", "127.0.0.0/8,198.18.0.0/15")
    SCHEMA = "cluster"

    def __init__(self, case):
        self.no_namespace = None
        hosts = "127.0.0.1"
        try:
            self.outside = Namespace()
            case.addCleanup(self.outside.close)
            hosts += "," + self.outside.database_host
        except OSError as reason:
            self.no_namespace = str(reason)
        self.database = server.Server(listen_addresses=hosts, log_lock_waits="on", deadlock_timeout="500ms", log_min_duration_statement=1000, log_line_prefix="%m %a %p: ")
        case.addCleanup(self.database.clean_up)
        with open(self.database.data / "pg_hba.conf", "a") as rules:
            rules.write("host all all 198.18.0.0/15 scram-sha-256\n")
        self.database.start()
        self.proxy = Proxy(self.database.port)
        case.addCleanup(self.proxy.close)
        if self.no_namespace:
            self.outside = Proxy(self.database.port)
            case.addCleanup(self.outside.close)
        self.nodes = {}
        for name in NAMES:
            self.nodes[name] = self.launch(case, name)
        for node in self.nodes.values():
            node.wait_ready()

    def launch(self, case, name):
        where = {"host": "127.0.0.1", "password": server.PASSWORD}
        flags, outside = list(self.FLAGS), name == "c" and not self.no_namespace
        url = self.database.url(schema=self.SCHEMA) if name == "a" else self.database.url(schema=self.SCHEMA, **where)
        if outside:
            url = url.replace("@127.0.0.1", "@" + self.outside.database_host)
            flags += ["--allow-unauthenticated", "--allowed-hosts", "*"]
        elif name != "a":
            through = self.proxy if name == "b" else self.outside
            url = url.replace("@127.0.0.1:%d" % self.database.port, "@127.0.0.1:%d" % through.address[1])
        listen = "0.0.0.0:0" if outside else "127.0.0.1:0"
        node = Daemon(*flags, listen=listen, storage=url + "&application_name=" + name, prefix=self.outside.prefix if outside else ())
        if outside:
            node.host = self.outside.node_host
        node.name = name
        case.addCleanup(node.clean_up)
        return node.start()

    def restart(self, *names):
        for name in names:
            self.nodes[name].start()
        for name in names:
            self.nodes[name].wait_ready()

    def rows(self, what):
        return [line.split("|") for line in self.database.sql("SET search_path=%s; %s" % (self.SCHEMA, what)).splitlines()]

    def senders(self):
        """Which node has which webhook, by its id, once all that are planned for have what they are to have; else None."""
        if self.rows("SELECT count(*) FROM work_shares w JOIN share_plan p ON p.share=w.share, lease l, config_state c WHERE p.sender<>w.holder OR l.planned_at<>c.version") != [["0"]]:
            return None
        found = self.rows(
            "SELECT c.id, a.application_name FROM config c JOIN work_shares w ON w.share=c.id%16 JOIN senders s ON s.id=w.holder"
            " JOIN pg_stat_activity a ON a.pid=s.pid AND a.backend_start=s.begun WHERE c.kind=1"
        )
        return {int(id): name for id, name in found}

    def leader(self):
        """(name, epoch) of who leads, or None: the lease is over, or he who had it."""
        found = self.rows("SELECT a.application_name, l.epoch FROM lease l JOIN pg_stat_activity a ON a.pid=l.pid AND a.backend_start=l.begun WHERE l.until>clock_timestamp()")
        return (found[0][0], int(found[0][1])) if found else None

    def wait_leader(self, other_than=None):
        """Who leads, once it is in another epoch than that one's."""

        def led():
            leader = self.leader()
            return leader if leader and leader != other_than else None

        return wait_for(led, TAKE_OVER_S, "a leader after %r" % (other_than,))
