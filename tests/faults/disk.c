/* A layer between a process and its disk (LD_PRELOAD): writes down every change under DISK_ROOT in order, and fails
 * the n-th one it is asked to. For tests alone; nothing of ours is changed to be tested.
 *
 * DISK_ROOT     folder whose files are watched, absolute
 * DISK_LOG      file that records go to (see struct record; tests/faults/disklog.py reads it)
 * DISK_CONTROL  file of one struct control, shared with the test (tests/faults/disk.py)
 *
 * One lock around each change and its record, so the log is the order in which the changes happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HANDLES 65536

enum kind { OPEN = 1, WRITE, SYNC, CUT, RENAME, UNLINK, FOLDER, RMDIR, GROW };
enum sort { CREATES = 1, WRITES = 2, SYNCS = 4, RENAMES = 8, UNLINKS = 16, CUTS = 32, FOLDER_SYNCS = 64 };

struct record {
    uint64_t nanoseconds; /* CLOCK_MONOTONIC, after the change */
    uint32_t kind, handle;
    uint64_t offset;
    uint32_t first, second; /* octets that follow: a path, then a second path or data */
};

struct control {
    uint32_t armed, sorts, nth, error, after, lasts, seen, fired;
    uint64_t fired_at;
    char under[256]; /* only paths that hold this */
};

static const char *root;
static size_t root_length;
static int log_handle = -1;
static struct control *control;
static pid_t owner;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct { uint32_t number; char *path; int folder; } opened[HANDLES];
static uint32_t numbers;

#define REAL(name) ((__typeof__(&name)) real_of(#name))

static void *real_of(const char *name) { return dlsym(RTLD_NEXT, name); }

static uint64_t now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t) moment.tv_sec * 1000000000u + (uint64_t) moment.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("DISK_LOG"), *shared = getenv("DISK_CONTROL");
    root = getenv("DISK_ROOT");
    root_length = root ? strlen(root) : 0;
    owner = getpid();
    if (log) log_handle = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (shared) {
        int handle = REAL(open)(shared, O_RDWR | O_CLOEXEC);
        void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
        control = page == MAP_FAILED ? NULL : page;
        REAL(close)(handle);
    }
    unsetenv("LD_PRELOAD"); /* what we start is none of ours */
}

/* The absolute path, if it is one of ours; SQLite's shared memory is rebuilt from the files and never synced. */
static int ours(int folder, const char *path, char *out) {
    char base[PATH_MAX];
    size_t length;
    if (!root || !path || getpid() != owner) return 0;
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            ssize_t got;
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            got = readlink(link, base, sizeof base - 1);
            if (got < 0) return 0;
            base[got] = 0;
        }
        if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    length = strlen(out);
    if (length >= 4 && !strcmp(out + length - 4, "-shm")) return 0;
    return !strncmp(out, root, root_length) && (out[root_length] == '/' || !out[root_length]);
}

static void note(uint32_t kind, uint32_t handle, uint64_t offset, const void *first, size_t a, const void *second,
                 size_t b) {
    struct record record = {now(), kind, handle, offset, (uint32_t) a, (uint32_t) b};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *) first, a}, {(void *) second, b}};
    if (log_handle >= 0 && REAL(writev)(log_handle, parts, 3) != (ssize_t)(sizeof record + a + b)) abort();
}

/* Whether this change is to fail; called before (`after` 0) and, where it went well, after it. */
static int fails(int sort, const char *path, int after) {
    if (!control || !control->armed || !(control->sorts & (uint32_t) sort)) return 0;
    if (control->under[0] && !strstr(path, control->under)) return 0;
    if (!after) control->seen++;
    if (control->after != (uint32_t) after) return 0;
    if (control->seen != control->nth && !(control->lasts && control->seen > control->nth)) return 0;
    if (!control->fired) control->fired_at = now();
    control->fired++;
    errno = (int) control->error;
    return 1;
}

static int taken(int handle) { return handle >= 0 && handle < HANDLES && opened[handle].number && getpid() == owner; }

static int opens(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    struct stat found;
    int handle, is_new, is_folder = 0;
    if (!ours(folder, path, whole)) return REAL(openat)(folder, path, flags, mode);
    pthread_mutex_lock(&turn);
    is_new = (flags & O_CREAT) && stat(whole, &found) != 0;
    if (is_new && fails(CREATES, whole, 0)) {
        pthread_mutex_unlock(&turn);
        return -1;
    }
    handle = REAL(openat)(folder, path, flags, mode);
    if (handle >= 0 && handle < HANDLES) {
        int error = errno;
        is_folder = fstat(handle, &found) == 0 && S_ISDIR(found.st_mode);
        free(opened[handle].path);
        opened[handle].path = strdup(whole);
        opened[handle].folder = is_folder;
        opened[handle].number = ++numbers;
        if (is_folder || is_new || (flags & O_ACCMODE) != O_RDONLY)
            note(OPEN, numbers, (uint64_t) ((is_new ? 1 : 0) | (flags & O_TRUNC ? 2 : 0) | (is_folder ? 4 : 0)), whole,
                 strlen(whole), NULL, 0);
        errno = error;
        if (is_new && fails(CREATES, whole, 1)) {
            error = errno;
            opened[handle].number = 0;
            REAL(close)(handle);
            errno = error;
            handle = -1;
        }
    }
    pthread_mutex_unlock(&turn);
    return handle;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, last); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags, flags) return opens(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return opens(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags, flags) return opens(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags, flags) return opens(folder, path, flags, mode); }

int close(int handle) {
    if (taken(handle)) opened[handle].number = 0;
    return REAL(close)(handle);
}

static ssize_t writes(int handle, const void *data, size_t length, off_t offset, int here) {
    ssize_t done;
    pthread_mutex_lock(&turn);
    if (fails(WRITES, opened[handle].path, 0)) {
        pthread_mutex_unlock(&turn);
        return -1;
    }
    done = here ? REAL(write)(handle, data, length) : REAL(pwrite64)(handle, data, length, offset);
    if (done > 0) {
        if (here) offset = lseek(handle, 0, SEEK_CUR) - done;
        note(WRITE, opened[handle].number, (uint64_t) offset, NULL, 0, data, (size_t) done);
        if (fails(WRITES, opened[handle].path, 1)) done = -1;
    }
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t write(int handle, const void *data, size_t length) {
    return taken(handle) ? writes(handle, data, length, 0, 1) : REAL(write)(handle, data, length);
}
ssize_t pwrite(int handle, const void *data, size_t length, off_t offset) {
    return taken(handle) ? writes(handle, data, length, offset, 0) : REAL(pwrite)(handle, data, length, offset);
}
ssize_t pwrite64(int handle, const void *data, size_t length, off_t offset) {
    return taken(handle) ? writes(handle, data, length, offset, 0) : REAL(pwrite64)(handle, data, length, offset);
}

static int syncs(int handle, int (*real)(int)) {
    int done = -1, sort;
    if (!taken(handle)) return real(handle);
    pthread_mutex_lock(&turn);
    sort = opened[handle].folder ? FOLDER_SYNCS : SYNCS;
    if (!fails(sort, opened[handle].path, 0)) {
        done = real(handle);
        if (!done) note(SYNC, opened[handle].number, 0, NULL, 0, NULL, 0);
        if (!done && fails(sort, opened[handle].path, 1)) done = -1;
    }
    pthread_mutex_unlock(&turn);
    return done;
}

int fsync(int handle) { return syncs(handle, REAL(fsync)); }
int fdatasync(int handle) { return syncs(handle, REAL(fdatasync)); }

static int cuts(int handle, off_t size) {
    int done = -1;
    if (!taken(handle)) return REAL(ftruncate64)(handle, size);
    pthread_mutex_lock(&turn);
    if (!fails(CUTS, opened[handle].path, 0)) {
        done = REAL(ftruncate64)(handle, size);
        if (!done) note(CUT, opened[handle].number, (uint64_t) size, NULL, 0, NULL, 0);
        if (!done && fails(CUTS, opened[handle].path, 1)) done = -1;
    }
    pthread_mutex_unlock(&turn);
    return done;
}

int ftruncate(int handle, off_t size) { return cuts(handle, size); }
int ftruncate64(int handle, off_t size) { return cuts(handle, size); }

static int grows(int handle, off_t offset, off_t length) {
    int done;
    if (!taken(handle)) return REAL(posix_fallocate64)(handle, offset, length);
    pthread_mutex_lock(&turn);
    done = REAL(posix_fallocate64)(handle, offset, length);
    if (!done) note(GROW, opened[handle].number, (uint64_t) (offset + length), NULL, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    return done;
}

int posix_fallocate(int handle, off_t offset, off_t length) { return grows(handle, offset, length); }
int posix_fallocate64(int handle, off_t offset, off_t length) { return grows(handle, offset, length); }

static int moves(int from, const char *old, int to, const char *new) {
    char source[PATH_MAX], target[PATH_MAX];
    int done = -1;
    if (!ours(to, new, target) || !ours(from, old, source)) return REAL(renameat)(from, old, to, new);
    pthread_mutex_lock(&turn);
    if (!fails(RENAMES, target, 0)) {
        done = REAL(renameat)(from, old, to, new);
        if (!done) note(RENAME, 0, 0, source, strlen(source), target, strlen(target));
        if (!done && fails(RENAMES, target, 1)) done = -1;
    }
    pthread_mutex_unlock(&turn);
    return done;
}

int rename(const char *old, const char *new) { return moves(AT_FDCWD, old, AT_FDCWD, new); }
int renameat(int from, const char *old, int to, const char *new) { return moves(from, old, to, new); }

static int leaves(int folder, const char *path, int flags) {
    char whole[PATH_MAX];
    int done = -1;
    if (!ours(folder, path, whole)) return REAL(unlinkat)(folder, path, flags);
    pthread_mutex_lock(&turn);
    if (!fails(UNLINKS, whole, 0)) {
        done = REAL(unlinkat)(folder, path, flags);
        if (!done) note(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, whole, strlen(whole), NULL, 0);
        if (!done && fails(UNLINKS, whole, 1)) done = -1;
    }
    pthread_mutex_unlock(&turn);
    return done;
}

int unlink(const char *path) { return leaves(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return leaves(folder, path, flags); }
int rmdir(const char *path) { return leaves(AT_FDCWD, path, AT_REMOVEDIR); }

static int makes(int folder, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    int done = -1;
    if (!ours(folder, path, whole)) return REAL(mkdirat)(folder, path, mode);
    pthread_mutex_lock(&turn);
    done = REAL(mkdirat)(folder, path, mode);
    if (!done) note(FOLDER, 0, 0, whole, strlen(whole), NULL, 0);
    pthread_mutex_unlock(&turn);
    return done;
}

int mkdir(const char *path, mode_t mode) { return makes(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return makes(folder, path, mode); }
