/* SPDX-License-Identifier: MIT */
/*
 * Lists of what the whole machine has open. The path of a way is one of
 *
 *   walk:N, ask:N   of pipe-list: a walk over /proc, which counts the pipes, or asks them, too; N are made before
 *   ss:N, ssp:N     of sock-list: ss -xatu, or ss -xatup, which says who has the sockets, too; N are made before
 *   FILE            the list; of sock-list by cat: there a program is beside a program
 */
#include "holders.h"
#include "ops.h"
#include "pipe_walk.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIPES_EACH = 25, SOCKETS_EACH = 100 };

struct many {
    struct holders holders;
    bool native;
    bool more; /* of the two native ways, that which finds out more */
};

/* ---- what there is to list ---- */

static int make_pipes(size_t count)
{
    int fds[2];
    for (size_t i = 0; i < count; i++)
        if (pipe2(fds, O_CLOEXEC) == -1)
            return -1;
    return 0;
}

/* At an address that the kernel chooses. */
static int make_bound(int family, int type, socklen_t size)
{
    const struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd == -1 || bind(fd, (const struct sockaddr *)&address, size) == -1)
        return -1;
    return type == SOCK_STREAM ? listen(fd, 1) : 0;
}

static int make_pair(void)
{
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
}

/* In turn two that are connected, and three that are bound, each of another sort. */
static int make_sockets(size_t count)
{
    static const socklen_t inet = sizeof(struct sockaddr_in);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        switch (i % 5) {
        case 0:
            rc = i + 1 < count ? make_pair() : make_bound(AF_UNIX, SOCK_DGRAM, sizeof(sa_family_t));
            break;
        case 1:
            break; /* the other one of the pair */
        case 2:
            rc = make_bound(AF_UNIX, SOCK_STREAM, sizeof(sa_family_t));
            break;
        case 3:
            rc = make_bound(AF_INET, SOCK_STREAM, inet);
            break;
        default:
            rc = make_bound(AF_INET, SOCK_DGRAM, inet);
            break;
        }
    }
    return rc;
}

/* ---- life ---- */

/* Of a list that lacks some, it is of no use to say how fast it is. Each entry has one `key`. */
static int check_list(struct way *way, const char *key, size_t least)
{
    char *word = NULL;
    size_t room = 0;
    size_t found = 0;
    FILE *list = fopen(way->path, "re");
    if (!list)
        return way_failed(way, "open");
    while (getdelim(&word, &room, '"', list) > 0)
        found += strncmp(word, key, strlen(key)) == 0 && word[strlen(key)] == '"';
    free(word);
    (void)fclose(list);
    return found >= least ? 0 : way_wrong(way, "not as many in the list as there are");
}

struct native_way {
    const char *prefix;
    bool more;
};

struct sort {
    struct native_way ways[2];
    size_t each; /* in one process */
    holder_job *make;
    const char *key; /* that each entry of the list has */
};

/* The native way comes first, and makes what the others are to show. */
static size_t made;

static int prepare_sort(struct way *way, const struct sort *sort)
{
    struct many *many = way->many = calloc(1, sizeof *many);
    if (!many)
        return way_failed(way, "memory");
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(sort->ways[i].prefix);
        if (strncmp(way->path, sort->ways[i].prefix, length) != 0)
            continue;
        many->native = true;
        many->more = sort->ways[i].more;
        size_t wanted = strtoul(way->path + length, NULL, 10);
        size_t there = made;
        made = wanted > there ? wanted : there;
        if (wanted > there && holders_start(&many->holders, wanted - there, sort->each, sort->make) == -1)
            return way_failed(way, "what is to be listed");
        return 0;
    }
    return strstr(way->path, "/list.json") ? check_list(way, sort->key, made) : 0;
}

static int prepare_pipes(struct way *way)
{
    static const struct sort pipes = {
        .ways = {{"walk:", false}, {"ask:", true}}, .each = PIPES_EACH, .make = make_pipes, .key = "ino"};
    return prepare_sort(way, &pipes);
}

static int prepare_sockets(struct way *way)
{
    static const struct sort sockets = {
        .ways = {{"ss:", false}, {"ssp:", true}}, .each = SOCKETS_EACH, .make = make_sockets, .key = "inode"};
    return prepare_sort(way, &sockets);
}

static void finish_many(struct way *way)
{
    if (!way->many)
        return;
    holders_end(&way->many->holders);
    free(way->many);
    way->many = NULL;
}

/* ---- the lists ---- */

static int walk(struct way *way)
{
    long count = pipe_walk(way->many->more);
    if (count == -1)
        return way_failed(way, "walk");
    return (size_t)count >= made ? 0 : way_wrong(way, "not all pipes were found");
}

static int run_pipe_list(struct way *way, uint64_t n)
{
    (void)n;
    return way->many->native ? walk(way) : read_to_end(way, way->path);
}

static int run_sock_list(struct way *way, uint64_t n)
{
    (void)n;
    char options[] = "-xatup";
    char *ss[] = {(char[]){"ss"}, options, NULL};
    char *cat[] = {(char[]){"cat"}, (char *)(uintptr_t)way->path, NULL};
    if (!way->many->more)
        options[strlen("-xatu")] = '\0';
    return run_program(way, way->many->native ? ss : cat);
}

const struct op list_ops[] = {
    {.name = "pipe-list",
     .help = "find all pipes; of a file: read it",
     .once = 1,
     .prepare = prepare_pipes,
     .run = run_pipe_list,
     .finish = finish_many},
    {.name = "sock-list",
     .help = "ss; of a file: cat",
     .once = 1,
     .prepare = prepare_sockets,
     .run = run_sock_list,
     .finish = finish_many},
    {0},
};
