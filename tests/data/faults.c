/* Opens of paths that end in FAULT_NAME fail with FAULT_ERRNO, as on a network file system: after FAULT_SKIP of them, FAULT_TIMES. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_int opened;

static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

static int fails(const char *path) {
    const char *name = getenv("FAULT_NAME");
    size_t length = strlen(path), end = name ? strlen(name) : 0;
    if (!name || length < end || strcmp(path + length - end, name)) return 0;
    int before = atomic_fetch_add(&opened, 1), skip = number("FAULT_SKIP", 0);
    if (before < skip || before >= skip + number("FAULT_TIMES", 1 << 30)) return 0;
    errno = number("FAULT_ERRNO", EIO);
    return 1;
}

#define OPEN(name)                                                                        \
    int name(const char *path, int flags, ...) {                                          \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        int mode = va_arg(rest, int);                                                     \
        va_end(rest);                                                                     \
        int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        return fails(path) ? -1 : next(path, flags, mode);                                \
    }

OPEN(open)
OPEN(open64)
