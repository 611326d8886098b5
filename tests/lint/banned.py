"""Calls that have one door or none: the allocator, the clock, chance, threads, and what the library must not do to its host."""
import re

import lint

# (calls, where the rule holds, the one file that may, why). A function pointer's call (x->free()) is somebody else's function.
RULES = (
    ("strcpy strcat sprintf vsprintf gets atoi atol atoll atof strtok alloca scanf sscanf", ("lib", "server"), None, "no bound, no error or hidden state"),
    ("malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf getline posix_memalign aligned_alloc", ("lib", "server"), "lib/base/mem.c", "allocate through lib/base/mem.h"),
    ("time gettimeofday rand srand random srandom rand_r drand48 getrandom", ("lib", "server"), "lib/base/sys.c", "time and chance are injected"),
    ("pthread_create", ("lib", "server"), "lib/base/thread.c", "threads start in one place"),
    ("signal sigaction exit _exit abort raise kill setlocale putenv setenv unsetenv chdir umask", ("lib",), None, "a library leaves its host alone"),
    ("printf vprintf fprintf vfprintf puts putchar perror dprintf syslog", ("lib",), None, "the library prints nothing"),
    ("sleep usleep nanosleep", ("lib", "server"), None, "wait on a condition"),
)
SEND = re.compile(r"(?<![\w.>])(send|sendto|sendmsg|sendmmsg)\s*\(([^;]*);")


def check(root):
    findings = []
    patterns = [(re.compile(r"(?<![\w.>])(" + "|".join(calls.split()) + r")\s*\("), dirs, door, why) for calls, dirs, door, why in RULES]
    for path in lint.files(root, ("lib", "server"), (".c", ".h")):
        text = lint.bare(lint.read(root, path))
        for pattern, dirs, door, why in patterns:
            if path == door or not path.startswith(tuple(d + "/" for d in dirs)):
                continue
            findings += [f"{path}:{lint.line_of(text, m.start())}: {m.group(1)}: {why}" for m in pattern.finditer(text)]
        for match in SEND.finditer(text):
            if "MSG_NOSIGNAL" not in match.group(2):
                findings.append(f"{path}:{lint.line_of(text, match.start())}: {match.group(1)}: without MSG_NOSIGNAL it can raise SIGPIPE")
    return findings


lint.run(
    check,
    bad={
        "strcpy": {"lib/x.c": "void f(char *a) { strcpy(a, a); }\n"},
        "malloc in the server": {"server/x.c": "void *f(void) { return malloc (1); }\n"},
        "free beside the allocator's door": {"lib/base/mem2.c": "void f(void *p) { free(p); }\n"},
        "time": {"lib/x.c": "long f(void) { return time(NULL); }\n"},
        "thread": {"server/x.c": "int f(void) { return pthread_create(0, 0, 0, 0); }\n"},
        "printing library": {"lib/x.c": 'void f(void) { printf("x"); }\n'},
        "send": {"server/x.c": "long f(int fd) { return send(fd, buf, n, 0); }\n"},
        "sleep": {"server/x.c": "void f(void) { usleep(1); }\n"},
    },
    good={
        "lib/base/mem.c": "void *tci_alloc(size_t n) { return malloc(n); }\n",
        "lib/x.c": '/* never free() or strcpy() */ static const char *s = "time(x)"; void f(void) { tci_free(p); ops->free(p); snprintf(a, n, s); runtime(1); }\n',
        "server/x.c": "long f(int fd) { return send(fd, buf, n, MSG_NOSIGNAL); } void g(void) { printf(s); }\n",
    },
)
