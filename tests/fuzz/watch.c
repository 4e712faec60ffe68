/* SPDX-License-Identifier: MIT */
/* Events of inotify and fanotify, read from a file of the fuzzer's in place of the kernel's. */
#include "fuzz.h"

#include "private_shm.h"
#include "watch.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MESSAGE_MAX = 32 * 1024, NAME_STEP = sizeof(struct inotify_event) };

static bool without_fanotify;
static struct watch *watches[2];
static int events;

/* The linker's names: __wrap_X is called for X, __real_X is X. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
int __real_fanotify_init(unsigned flags, unsigned event_flags);
int __wrap_fanotify_init(unsigned flags, unsigned event_flags);

int __wrap_fanotify_init(unsigned flags, unsigned event_flags)
{
    errno = EPERM;
    return without_fanotify ? -1 : __real_fanotify_init(flags, event_flags);
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    private_shm_enter("size=16m");
    AUTO_FD directory = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);
    events = memfd_create("events", MFD_CLOEXEC);
    MUST(directory >= 0 && events >= 0);
    for (int i = 0; i < 2; i++) {
        without_fanotify = i;
        MUST(watch_open(directory, &watches[i]) == 0);
        MUST(dup2(events, watch_fd(watches[i])) >= 0);
    }
    return 0;
}

/* The kernel's own lengths are right (inotify(7)), the rest may be anything. */
static void add_inotify(struct input *input)
{
    struct {
        struct inotify_event event;
        char name[256 + NAME_STEP];
    } message = {.event = {.mask = (uint32_t)input_number(input, 4), .cookie = input_byte(input)}};
    struct input name = input_part(input, input_byte(input));
    if (name.size) {
        memcpy(message.name, name.data, name.size);
        message.event.len = (uint32_t)((name.size + NAME_STEP) / NAME_STEP * NAME_STEP);
    }
    size_t size = sizeof message.event + message.event.len;
    MUST(write(events, &message, size) == (ssize_t)size);
}

static void fill(struct input *input)
{
    if (!without_fanotify) {
        MUST(write(events, input->data, input->size) == (ssize_t)input->size);
        return;
    }
    while (input->size)
        add_inotify(input);
}

static int take(void *data, const struct watch_change *change)
{
    unsigned *left = data;
    MUST(strlen(change->name) <= NAME_MAX && strlen(change->to) <= NAME_MAX);
    MUST(*change->name || change->bits & WATCH_LOST);
    MUST(!(change->bits & WATCH_RENAMED) || without_fanotify || *change->to);
    MUST(change->pid >= 0);
    return --*left ? 0 : -ECANCELED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size < MESSAGE_MAX ? size : MESSAGE_MAX};
    without_fanotify = input_byte(&input) & 1;
    unsigned left = 1U + input_byte(&input);
    MUST(ftruncate(events, 0) == 0 && lseek(events, 0, SEEK_SET) == 0);
    fill(&input);
    MUST(lseek(events, 0, SEEK_SET) == 0);
    (void)watch_read(watches[without_fanotify], take, &left);
    return 0;
}
