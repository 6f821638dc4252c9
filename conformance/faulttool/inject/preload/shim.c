/*
 * Stands before libc in a program under test (LD_PRELOAD) and makes two faults on demand: a wall clock that is
 * off, and a disk that fails to sync. What is demanded is read from a file that both sides map, named by
 * KRAB_FAULTS_CONTROL; without it nothing is changed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* shim.go knows this layout. */
struct control {
    _Atomic int64_t clock_offset_seconds;
    _Atomic int64_t fail_sync;
    _Atomic int64_t failed_syncs;
};

static struct control *control;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("KRAB_FAULTS_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) {
        return;
    }
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    control = map == MAP_FAILED ? NULL : map;
    close(file);
}

static int64_t offset(void) { return control ? control->clock_offset_seconds : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime) {
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real_clock_gettime(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += offset();
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) {
        return -1;
    }
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

static int fails(void) {
    if (!control || !control->fail_sync) {
        return 0;
    }
    control->failed_syncs++;
    errno = EIO;
    return 1;
}

int fsync(int file) { return fails() ? -1 : real_fsync(file); }

int fdatasync(int file) { return fails() ? -1 : real_fdatasync(file); }
