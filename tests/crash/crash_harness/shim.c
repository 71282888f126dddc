/* Preloaded into a process, logs every change to files below one directory, whichever library makes
 * it, and can kill the process at the n-th of them or let that one fail.
 *
 * Not seen: stores through a writable map (SQLite's -shm, which a crash throws away anyway), stdio,
 * io_uring. The tests compare what the log explains with what is on the disk.
 * One thread at a time: the store changes files under a lock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, LINK, UNLINK, MKDIR, RMDIR, NOTE };
enum { WATCH = 0, KILL, FAIL, FAIL_FROM_HERE, FAIL_AND_DIE };

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static int mode, fault_error;
static int64_t fault_at, count;
static int without_sync;

/* The next definition of a function: the one that this file hides. */
#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* ---- called by the tests */

/* Watch changes below `folder`; change number `at` (from 0) is the one that `mode` is about. */
int crash_arm(const char *folder, const char *log_path, int new_mode, int64_t at, int error) {
    int fd = REAL(open64)(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) return -1;
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
    REAL(close)(fd);
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    mode = new_mode;
    fault_at = at;
    fault_error = error;
    count = 0;
    return 0;
}

/* No faults from here on; the log goes on. */
void crash_heal(void) { mode = WATCH; }

/* Do not wait for the disk at all; for processes that only look at states. */
void crash_without_sync(void) { without_sync = 1; }

/* ---- the log */

struct record {
    uint32_t kind, error;
    uint64_t inode, a, b;
    uint32_t length, second_length;
};

static void record(int kind, int error, uint64_t inode, uint64_t a, uint64_t b, const void *data,
                   size_t length, const void *second, size_t second_length) {
    struct record head = {kind, error, inode, a, b, length, second_length};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)data, length}, {(void *)second, second_length}};
    int kept = errno;
    if (REAL(writev)(log_fd, parts, 3) < 0) raise(SIGABRT);
    errno = kept;
}

static void record_path(int kind, int error, uint64_t inode, const char *path) {
    record(kind, error, inode, 0, 0, path + root_length, strlen(path) - root_length, "", 0);
}

/* A line of the test's own, between two changes. */
void crash_note(const char *text) {
    if (log_fd >= 0) record(NOTE, 0, 0, 0, 0, text, strlen(text), "", 0);
}

/* ---- what is watched */

static int is_below(const char *path) {
    return strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

/* Whether a path lies below the root; `full` gets it in full. */
static int watched(int folder, const char *path, char full[2 * PATH_MAX]) {
    char base[PATH_MAX] = "", link[64];
    if (log_fd < 0) return 0;
    if (path[0] != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t got = readlink(folder == AT_FDCWD ? "/proc/self/cwd" : link, base, PATH_MAX - 1);
        if (got < 0) return 0;
        base[got] = 0;
    }
    snprintf(full, 2 * PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", path);
    return is_below(full);
}

/* SQLite makes this file long by writing a byte into each page of it, and then maps it. */
static int is_shared_memory(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, "-shm") == 0;
}

static int watched_fd(int fd, struct stat *status) {
    char link[64], path[PATH_MAX];
    if (log_fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, PATH_MAX - 1);
    if (got < 0) return 0;
    path[got] = 0;
    return is_below(path) && !is_shared_memory(path) && fstat(fd, status) == 0;
}

static uint64_t inode_of(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

/* Count one change; the error it is to fail with, or 0. Does not return from a kill. */
static int fault(int kind) {
    int64_t number = count++;
    int takes_space = kind == CREATE || kind == WRITE || kind == ALLOCATE || kind == MKDIR;
    if (mode == FAIL_FROM_HERE && number >= fault_at && takes_space) return fault_error;
    int dies = mode == KILL ? number == fault_at : mode == FAIL_AND_DIE && number > fault_at;
    if (dies) kill(getpid(), SIGKILL);
    if (mode == WATCH || mode == FAIL_FROM_HERE || number != fault_at) return 0;
    return fault_error;
}

/* Whether the next write is to be killed in its middle. */
static int dies_in_write(void) { return mode == KILL && count == fault_at; }

/* ---- files */

static int open_and_log(int folder, const char *path, int flags, mode_t permissions) {
    char full[2 * PATH_MAX];
    struct stat status;
    if (log_fd >= 0 && strcmp(path, "/dev/urandom") == 0) path = "/dev/zero"; /* SQLite's salts */
    int creates = (flags & O_CREAT) && watched(folder, path, full) && lstat(full, &status) != 0;
    int cuts = (flags & O_TRUNC) && !creates && watched(folder, path, full);
    int error = creates ? fault(CREATE) : cuts ? fault(TRUNCATE) : 0;
    int fd = error ? -1 : REAL(openat64)(folder, path, flags, permissions);
    if (error) errno = error;
    if (fd < 0 || (!creates && !cuts)) return fd;
    fstat(fd, &status);
    if (creates) record_path(CREATE, 0, status.st_ino, full);
    else record(TRUNCATE, 0, status.st_ino, 0, 0, "", 0, "", 0);
    return fd;
}

#define OPEN_BODY(folder)                                 \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; \
    mode_t permissions = makes ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                         \
    return open_and_log(folder, path, flags, permissions)

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int openat(int folder, const char *path, int flags, ...) { OPEN_BODY(folder); }
int openat64(int folder, const char *path, int flags, ...) { OPEN_BODY(folder); }

static ssize_t write_and_log(int fd, const void *data, size_t length, off64_t offset) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(pwrite64)(fd, data, length, offset);
    if (dies_in_write()) REAL(pwrite64)(fd, data, length / 2, offset);
    int error = fault(WRITE);
    if (error) return errno = error, -1;
    ssize_t done = REAL(pwrite64)(fd, data, length, offset);
    if (done >= 0) record(WRITE, 0, status.st_ino, offset, 0, data, done, "", 0);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    return write_and_log(fd, data, length, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return write_and_log(fd, data, length, offset);
}
ssize_t write(int fd, const void *data, size_t length) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(write)(fd, data, length);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    off64_t offset = appends ? status.st_size : lseek64(fd, 0, SEEK_CUR);
    ssize_t done = write_and_log(fd, data, length, offset);
    if (done > 0) lseek64(fd, offset + done, SEEK_SET);
    return done;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int number, off64_t offset) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(pwritev64)(fd, parts, number, offset);
    ssize_t total = 0;
    for (int i = 0; i < number; i++) {
        ssize_t done = write_and_log(fd, parts[i].iov_base, parts[i].iov_len, offset + total);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return total;
}
ssize_t pwritev(int fd, const struct iovec *parts, int number, off_t offset) {
    return pwritev64(fd, parts, number, offset);
}

int ftruncate64(int fd, off64_t length) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(ftruncate64)(fd, length);
    int error = fault(TRUNCATE);
    if (error) return errno = error, -1;
    int result = REAL(ftruncate64)(fd, length);
    if (result == 0) record(TRUNCATE, 0, status.st_ino, length, 0, "", 0, "", 0);
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int how, off64_t offset, off64_t length) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(fallocate64)(fd, how, offset, length);
    int error = fault(ALLOCATE);
    if (error) return errno = error, -1;
    int result = REAL(fallocate64)(fd, how, offset, length);
    if (result == 0) record(ALLOCATE, 0, status.st_ino, offset, length, "", 0, "", 0);
    return result;
}
int fallocate(int fd, int how, off_t offset, off_t length) {
    return fallocate64(fd, how, offset, length);
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    struct stat status;
    if (!watched_fd(fd, &status)) return REAL(posix_fallocate64)(fd, offset, length);
    int error = fault(ALLOCATE);
    if (error) return error;
    int result = REAL(posix_fallocate64)(fd, offset, length);
    if (result == 0) record(ALLOCATE, 0, status.st_ino, offset, length, "", 0, "", 0);
    return result;
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    return posix_fallocate64(fd, offset, length);
}

static int sync_and_log(int fd, int (*next)(int)) {
    struct stat status;
    if (!watched_fd(fd, &status)) return without_sync ? 0 : next(fd);
    int error = fault(SYNC);
    if (error) record(SYNC, error, status.st_ino, 0, 0, "", 0, "", 0);
    if (error) return errno = error, -1;
    /* The model decides what is on the disk; waiting for the real one would only take time. */
    record(SYNC, 0, status.st_ino, 0, 0, "", 0, "", 0);
    return 0;
}
int fsync(int fd) { return sync_and_log(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_and_log(fd, REAL(fdatasync)); }

/* ---- names */

static int two_paths(int kind, int old_folder, const char *old, int new_folder, const char *new,
                     unsigned flags) {
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    int below = watched(old_folder, old, from) && watched(new_folder, new, to);
    int error = below ? fault(kind) : 0;
    if (error) return errno = error, -1;
    uint64_t inode = below ? inode_of(from) : 0;
    int result = kind == LINK ? REAL(linkat)(old_folder, old, new_folder, new, flags)
                              : REAL(renameat2)(old_folder, old, new_folder, new, flags);
    if (below && result == 0)
        record(kind, 0, inode, flags, 0, from + root_length, strlen(from) - root_length,
               to + root_length, strlen(to) - root_length);
    return result;
}
int rename(const char *old, const char *new) {
    return two_paths(RENAME, AT_FDCWD, old, AT_FDCWD, new, 0);
}
int renameat(int old_folder, const char *old, int new_folder, const char *new) {
    return two_paths(RENAME, old_folder, old, new_folder, new, 0);
}
int renameat2(int old_folder, const char *old, int new_folder, const char *new, unsigned flags) {
    return two_paths(RENAME, old_folder, old, new_folder, new, flags);
}
int link(const char *old, const char *new) {
    return two_paths(LINK, AT_FDCWD, old, AT_FDCWD, new, 0);
}
int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags) {
    return two_paths(LINK, old_folder, old, new_folder, new, flags);
}

static int remove_and_log(int folder, const char *path, int flags) {
    char full[2 * PATH_MAX];
    int kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    /* What is not there is no change: asking again would not show where the next run stands. */
    int below = watched(folder, path, full) && inode_of(full);
    int error = below ? fault(kind) : 0;
    if (error) return errno = error, -1;
    uint64_t inode = below ? inode_of(full) : 0;
    int result = REAL(unlinkat)(folder, path, flags);
    if (below && result == 0) record_path(kind, 0, inode, full);
    return result;
}
int unlink(const char *path) { return remove_and_log(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return remove_and_log(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int folder, const char *path, int flags) {
    return remove_and_log(folder, path, flags);
}

int mkdirat(int folder, const char *path, mode_t permissions) {
    char full[2 * PATH_MAX];
    int below = watched(folder, path, full) && !inode_of(full);
    int error = below ? fault(MKDIR) : 0;
    if (error) return errno = error, -1;
    int result = REAL(mkdirat)(folder, path, permissions);
    if (below && result == 0) record_path(MKDIR, 0, inode_of(full), full);
    return result;
}
int mkdir(const char *path, mode_t permissions) { return mkdirat(AT_FDCWD, path, permissions); }
