/* SPDX-License-Identifier: MIT */
#include "jobs.h"

#include "creds.h"
#include "lock.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/* A user with jobs, in the queue or running. */
struct job_user {
    uid_t uid;
    unsigned queued, running;
    struct job *first;
    struct job_user *prev;
    struct job_user *next;
};

struct jobs {
    struct lock lock;       /* guards all of it */
    pthread_cond_t wanted;  /* there is a job, or the end */
    pthread_cond_t ended;   /* a thread has */
    struct job_user *users; /* who has had none for the longest time is the first */
    struct jobs_stats stats;
    unsigned idle; /* threads that wait */
    bool stop;
};

int jobs_new(struct jobs **out)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return -ENOMEM;
    if (lock_init(&jobs->lock, LOCK_JOBS)) {
        free(jobs);
        return -ENOMEM;
    }
    if (lock_condition_init(&jobs->wanted)) {
        lock_destroy(&jobs->lock);
        free(jobs);
        return -ENOMEM;
    }
    if (lock_condition_init(&jobs->ended)) {
        pthread_cond_destroy(&jobs->wanted);
        lock_destroy(&jobs->lock);
        free(jobs);
        return -ENOMEM;
    }
    *out = jobs;
    return 0;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    pthread_cond_destroy(&jobs->ended);
    pthread_cond_destroy(&jobs->wanted);
    lock_destroy(&jobs->lock);
    free(jobs);
}

/* ---- with the lock held ---- */

static struct job_user *find_user(const struct jobs *jobs, uid_t uid)
{
    struct job_user *user = NULL;
    DL_FOREACH(jobs->users, user) {
        if (user->uid == uid)
            return user;
    }
    return NULL;
}

static struct job_user *new_user(struct jobs *jobs, uid_t uid)
{
    struct job_user *user = calloc(1, sizeof *user);
    if (!user)
        return NULL;
    user->uid = uid;
    DL_APPEND(jobs->users, user);
    return user;
}

static void forget_idle(struct jobs *jobs, struct job_user *user)
{
    if (user->queued || user->running)
        return;
    DL_DELETE(jobs->users, user);
    free(user);
}

static int enqueue(struct jobs *jobs, struct job *job)
{
    struct job_user *user = find_user(jobs, job->uid);
    if (user && user->queued >= JOBS_QUEUE_SHARE)
        return -EAGAIN;
    if (!user)
        user = new_user(jobs, job->uid);
    if (!user)
        return -ENOMEM;
    DL_APPEND(user->first, job);
    job->user = user;
    user->queued++;
    jobs->stats.queued++;
    return 0;
}

static void dequeue(struct jobs *jobs, struct job *job)
{
    struct job_user *user = job->user;
    DL_DELETE(user->first, job);
    job->user = NULL;
    user->queued--;
    jobs->stats.queued--;
}

static bool has_turn(const struct job_user *user)
{
    return user->queued && (user->uid == 0 || user->running < JOBS_RUN_SHARE);
}

/* Takes the job that is to run next out of the queue; NULL where there is none. Its user goes to the end. */
static struct job *next_job(struct jobs *jobs)
{
    struct job_user *user = NULL;
    DL_FOREACH(jobs->users, user) {
        if (has_turn(user))
            break;
    }
    if (!user)
        return NULL;
    struct job *job = user->first;
    dequeue(jobs, job);
    user->running++;
    DL_DELETE(jobs->users, user);
    DL_APPEND(jobs->users, user);
    return job;
}

/* ---- threads ---- */

static void run_job(struct jobs *jobs, struct job *job)
{
    uid_t uid = job->uid;
    jobs->stats.running++;
    lock_release(&jobs->lock);
    job->run(job);
    lock_take(&jobs->lock);
    jobs->stats.running--;
    struct job_user *user = find_user(jobs, uid); /* it is there: it has this one running */
    user->running--;
    forget_idle(jobs, user);
}

/* False when there was nothing to do for a while. */
static bool await_job(struct jobs *jobs)
{
    struct timespec end = lock_deadline(JOBS_LINGER_MS);
    jobs->idle++;
    int error = pthread_cond_timedwait(&jobs->wanted, &jobs->lock.mutex, &end);
    jobs->idle--;
    return error != ETIMEDOUT;
}

static int start_thread(struct jobs *jobs);

static void *work(void *argument)
{
    struct jobs *jobs = argument;
    lock_take(&jobs->lock);
    bool late = false;
    while (!creds_lost()) {
        struct job *job = next_job(jobs); /* also when it is late: it may have come in the meantime */
        if (job)
            run_job(jobs, job);
        else if (late || jobs->stop)
            break;
        late = !job && !await_job(jobs);
    }
    jobs->stats.threads--;
    if (creds_lost() && jobs->stats.queued)
        (void)start_thread(jobs); /* in place of this one, which can not go on */
    pthread_cond_broadcast(&jobs->ended);
    lock_release(&jobs->lock); /* after this the queue may be gone */
    return NULL;
}

static int start_thread(struct jobs *jobs)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, work, jobs);
    pthread_attr_destroy(&attributes);
    if (!error)
        jobs->stats.threads++;
    return -error;
}

/* Sees to it that there is somebody for one more job. */
static int want_thread(struct jobs *jobs)
{
    if (jobs->idle > jobs->stats.queued || jobs->stats.threads >= JOBS_THREADS_MAX)
        return 0;
    int error = start_thread(jobs);
    return jobs->stats.threads ? 0 : error;
}

/* ---- for others ---- */

int jobs_submit(struct jobs *jobs, struct job *job)
{
    lock_take(&jobs->lock);
    int error = want_thread(jobs);
    if (!error)
        error = enqueue(jobs, job);
    pthread_cond_signal(&jobs->wanted);
    lock_release(&jobs->lock);
    return error;
}

bool jobs_cancel(struct jobs *jobs, struct job *job)
{
    lock_take(&jobs->lock);
    struct job_user *user = job->user;
    if (user) {
        dequeue(jobs, job);
        forget_idle(jobs, user);
    }
    lock_release(&jobs->lock);
    return user != NULL;
}

bool jobs_stop(struct jobs *jobs, unsigned milliseconds)
{
    struct timespec end = lock_deadline(milliseconds);
    int error = 0;
    lock_take(&jobs->lock);
    jobs->stop = true;
    pthread_cond_broadcast(&jobs->wanted);
    while (jobs->stats.threads && !error)
        error = pthread_cond_timedwait(&jobs->ended, &jobs->lock.mutex, &end);
    bool stopped = !jobs->stats.threads;
    lock_release(&jobs->lock);
    return stopped;
}

void jobs_stats(struct jobs *jobs, struct jobs_stats *out)
{
    lock_take(&jobs->lock);
    *out = jobs->stats;
    lock_release(&jobs->lock);
}
