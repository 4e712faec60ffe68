/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: allocations that fail on purpose, of all its threads and of the libraries it uses, and a
 * count of those that live. The file that FAILALLOC names is mapped, and tells which shall fail; see allocations.py.
 * Mappings, attachments and threads count as allocations that can fail, but not among those that live.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 32, SHORTAGE_MS = 30 };

/* What is in the file. */
struct control {
    atomic_uint countdown; /* this one fails, counted from 1; 0: none */
    atomic_uint all;       /* and every one behind it, for SHORTAGE_MS */
    atomic_uint failed;
    atomic_uint depth;
    atomic_llong live;
    atomic_llong since;       /* when the first failed */
    uintptr_t frames[FRAMES]; /* who asked for the first that failed */
};

static struct control none;
static struct control *control = &none;
static _Thread_local bool inside; /* what backtrace(3) allocates does not count */

/* glibc's own, by the names it exports them for this. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static int (*real_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static void *(*real_shmat)(int, const void *, int);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAILALLOC"); // NOLINT(concurrency-mt-unsafe): before there are threads
    void *frame = NULL;
    *(void **)&real_pthread_create = dlsym(RTLD_NEXT, "pthread_create");
    *(void **)&real_mmap = dlsym(RTLD_NEXT, "mmap");
    *(void **)&real_shmat = dlsym(RTLD_NEXT, "shmat");
    (void)backtrace(&frame, 1); /* loads what it needs */
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *shared =
        fd < 0 ? MAP_FAILED : real_mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (shared == MAP_FAILED)
        _exit(99);
    control = shared;
}

static long long now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Who waits for memory gets it: no shortage lasts for ever. */
static bool is_over(void)
{
    long long since = atomic_load(&control->since);
    bool over = since && now_ms() - since > SHORTAGE_MS;
    if (over)
        atomic_store(&control->countdown, 0);
    return over;
}

static void note_failure(void)
{
    if (atomic_fetch_add(&control->failed, 1) > 0)
        return;
    atomic_store(&control->since, now_ms());
    void *frames[FRAMES];
    inside = true;
    int depth = backtrace(frames, FRAMES);
    inside = false;
    memcpy(control->frames, frames, sizeof frames);
    atomic_store(&control->depth, (unsigned)depth);
}

static bool shall_fail(void)
{
    unsigned left = inside ? 0 : atomic_load(&control->countdown);
    do {
        if (left == 0)
            return false;
    } while ((left > 1 || !atomic_load(&control->all)) &&
             !atomic_compare_exchange_weak(&control->countdown, &left, left - 1));
    if (left > 1 || is_over())
        return false;
    note_failure();
    errno = ENOMEM;
    return true;
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): those of the C library begin with __
static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&control->live, 1);
    return memory;
}

void *malloc(size_t size)
{
    return shall_fail() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return shall_fail() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (shall_fail())
        return NULL;
    return memory ? __libc_realloc(memory, size) : counted(__libc_realloc(NULL, size));
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return shall_fail() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

void free(void *memory)
{
    int saved = errno;
    if (memory)
        atomic_fetch_sub(&control->live, 1);
    __libc_free(memory);
    errno = saved;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    return shall_fail() ? EAGAIN : real_pthread_create(thread, attributes, run, argument);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return shall_fail() ? MAP_FAILED : real_mmap(address, length, protection, flags, fd, offset);
}

void *shmat(int id, const void *address, int flags)
{
    return shall_fail() ? MAP_FAILED : real_shmat(id, address, flags);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
