// Ends the server, or fails its disk, at a chosen moment of an append: for LD_PRELOAD.
//
// While the file that DAYBOOK_DIE_AT names is there, its text is the moment: "before write", "half
// a write", "after write", "after sync", "sync fails", "no space". Only calls on segments of a log
// count. No other process of the server's touches such files, so all others go on as ever.
// While the text is "clock ahead" its wall clock is two hours ahead.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is_segment(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = 0;
    const char *suffix = strrchr(path, '.');
    return suffix != NULL && strcmp(suffix, ".lz4") == 0;
}

static int is_armed(const char *moment) {
    int kept = errno;
    const char *name = getenv("DAYBOOK_DIE_AT");
    int file = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    ssize_t count = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    errno = kept;
    return count > 0 && strcmp(text, moment) == 0;
}

static int is_moment(int fd, const char *moment) { return is_armed(moment) && is_segment(fd); }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) real = dlsym(RTLD_NEXT, "pwrite");
    if (is_moment(fd, "before write")) die();
    if (is_moment(fd, "no space")) {
        errno = ENOSPC;
        return -1;
    }
    if (is_moment(fd, "half a write")) {
        real(fd, bytes, count / 2, offset);
        die();
    }
    ssize_t result = real(fd, bytes, count, offset);
    if (is_moment(fd, "after write")) die();
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite(fd, bytes, count, offset);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = dlsym(RTLD_NEXT, "fdatasync");
    if (is_moment(fd, "sync fails")) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (is_moment(fd, "after sync")) die();
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME && is_armed("clock ahead")) time->tv_sec += 7200;
    return result;
}
