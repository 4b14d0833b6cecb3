/* SPDX-License-Identifier: ISC */
/*
 * The simulator: a proxy's and a relay's group in virtual time.
 *
 *	sim				seeds 1 to 100
 *	sim --seed N			that one
 *	sim --seeds FIRST-LAST		those
 *	sim --count N			seeds 1 to N
 *	sim --step N			only each Nth, up to the last
 *	sim --jobs N			so many processes (default: one a CPU)
 *	sim --verbose			say what happens
 *	sim --lanes			small writes beside bulk ones, instead
 *	sim --race			transfers over several paths, instead
 *	sim --late			beside a path that turns bad, instead
 *	sim --redial			dials and silence, instead
 *
 * Exit status: 0, or 1 when a seed failed, which is printed with the command
 * that shows it again.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lanes.h"
#include "late.h"
#include "race.h"
#include "redial.h"
#include "world.h"

#define JOBS_MAX 64
#define SEED_SECONDS 300	/* of real time; a seed takes about 0.05 */

struct job {
	pid_t pid;
	uint64_t seed;		/* what it does now */
	struct totals totals;
};

/* Shared by the processes. */
struct board {
	uint64_t next;
	int stop;
	struct job jobs[JOBS_MAX];
};

struct options {
	uint64_t first, last, step;
	long jobs;
	bool verbose, lanes, race, late, redial;
};

/* ---- what was done ---- */

static void
add(struct totals *sum, const struct totals *t)
{
	sum->seeds += t->seeds;
	sum->long_seeds += t->long_seeds;
	sum->sessions += t->sessions;
	sum->sessions_reset += t->sessions_reset;
	sum->refused += t->refused;
	sum->bytes += t->bytes;
	sum->datagrams += t->datagrams;
	sum->resent += t->resent;
	sum->duplicates += t->duplicates;
	sum->deaths += t->deaths;
	sum->stalls += t->stalls;
	sum->replaced += t->replaced;
	sum->restarts += t->restarts;
	sum->paths_lost += t->paths_lost;
	sum->dials += t->dials;
	sum->subflows += t->subflows;
	sum->given_up += t->given_up;
	sum->events += t->events;
	sum->virtual_us += t->virtual_us;
	if (t->held_max > sum->held_max)
		sum->held_max = t->held_max;
}

static void
print_dials(const struct totals *t)
{
	printf("%" PRIu64 " seeds: %" PRIu64 " dials, %" PRIu64 " subflows, %"
	    PRIu64 " groups given up, in %.0f hours of virtual time\n",
	    t->seeds, t->dials, t->subflows, t->given_up,
	    (double)t->virtual_us / 3600e6);
}

static void
print_totals(const struct totals *t)
{
	printf("%" PRIu64 " seeds, %" PRIu64 " of them long: %" PRIu64
	    " sessions (%" PRIu64 " resets, %" PRIu64 " refused), %.1f MB in %"
	    PRIu64 " datagrams\n", t->seeds, t->long_seeds, t->sessions,
	    t->sessions_reset, t->refused, (double)t->bytes / 1e6,
	    t->datagrams);
	printf("%" PRIu64 " deaths (%" PRIu64 " replaced unseen), %" PRIu64
	    " stalls, %" PRIu64 " paths lost, %" PRIu64 " restarts, %" PRIu64
	    " datagrams sent again, %" PRIu64 " arrived twice\n", t->deaths,
	    t->replaced, t->stalls, t->paths_lost, t->restarts, t->resent,
	    t->duplicates);
	printf("%.0f hours of virtual time, %" PRIu64 " events, at most %.1f "
	    "MB held\n", (double)t->virtual_us / 3600e6, t->events,
	    (double)t->held_max / 1e6);
}

/* ---- processes ---- */

static void
work(struct board *board, struct job *job, const struct options *o)
{
	while (!__atomic_load_n(&board->stop, __ATOMIC_RELAXED)) {
		uint64_t seed = __atomic_fetch_add(&board->next,
		    o->step, __ATOMIC_RELAXED);

		if (seed > o->last)
			return;
		job->seed = seed;
		alarm(SEED_SECONDS);
		if (o->race)
			race_run(seed, o->verbose, &job->totals);
		else if (o->late)
			late_run(seed, o->verbose, &job->totals);
		else if (o->redial)
			redial_run(seed, o->verbose, &job->totals);
		else
			world_run(seed, o->verbose, &job->totals);
		alarm(0);
	}
}

/* Why a process ended, unless it has said so itself. */
static int
judge(const struct job *job, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "seed %" PRIu64 ": %s\n", job->seed,
		    WTERMSIG(status) == SIGALRM ? "takes too long" :
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 1)
		fprintf(stderr, "seed %" PRIu64 ": exit status %d\n",
		    job->seed, WEXITSTATUS(status));
	else
		return 1;
	fprintf(stderr, "to see it again: tests/sim/sim --verbose --seed %"
	    PRIu64 "\n", job->seed);
	return 1;
}

static int
run_jobs(struct board *board, const struct options *o)
{
	int failed = 0, status;
	pid_t pid;

	for (long i = 0; i < o->jobs; i++) {
		struct job *job = &board->jobs[i];

		/* The board is shared: only this side may write it. */
		pid = fork();
		if (pid < 0) {
			perror("fork");
			board->stop = 1;
			failed = 1;
			break;
		}
		if (pid == 0) {
			work(board, job, o);
			exit(0);
		}
		job->pid = pid;
	}
	while ((pid = wait(&status)) > 0 || errno == EINTR)
		for (long i = 0; i < o->jobs; i++)
			if (pid == board->jobs[i].pid &&
			    judge(&board->jobs[i], status) != 0)
				failed = board->stop = 1;
	return failed;
}

static int
run(const struct options *o)
{
	struct totals sum = { 0 };
	int failed = 0;
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ |
	    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	board->next = o->first;
	if (o->jobs == 1)
		work(board, &board->jobs[0], o);
	else
		failed = run_jobs(board, o);
	for (long i = 0; i < o->jobs; i++)
		add(&sum, &board->jobs[i].totals);
	if (o->redial)
		print_dials(&sum);
	else
		print_totals(&sum);
	munmap(board, sizeof(*board));
	return failed;
}

/* ---- options ---- */

static const char usage[] =
    "usage: sim [--seed N | --seeds FIRST-LAST | --count N] [--step N]\n"
    "           [--jobs N] [--verbose] "
    "[--lanes | --race | --late | --redial]\n";

static uint64_t
number(const char *text, char end, const char **rest)
{
	char *stop;

	errno = 0;
	uint64_t value = strtoull(text, &stop, 10);
	if (*text < '0' || *text > '9' || *stop != end || errno != 0) {
		fputs(usage, stderr);
		exit(2);
	}
	if (rest != NULL)
		*rest = stop + 1;
	return value;
}

static void
get_options(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'c' },
		{ "step", required_argument, NULL, 'n' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "lanes", no_argument, NULL, 'l' },
		{ "race", no_argument, NULL, 'e' },
		{ "late", no_argument, NULL, 't' },
		{ "redial", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 }
	};
	const char *rest;
	int c;

	*o = (struct options){ .first = 1, .last = 100, .step = 1 };
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (c) {
		case 's':
			o->first = o->last = number(optarg, '\0', NULL);
			break;
		case 'r':
			o->first = number(optarg, '-', &rest);
			o->last = number(rest, '\0', NULL);
			break;
		case 'c':
			o->last = o->first + number(optarg, '\0', NULL) - 1;
			break;
		case 'n':
			o->step = number(optarg, '\0', NULL);
			break;
		case 'j':
			o->jobs = (long)number(optarg, '\0', NULL);
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'l':
			o->lanes = true;
			break;
		case 'e':
			o->race = true;
			break;
		case 't':
			o->late = true;
			break;
		case 'd':
			o->redial = true;
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	if (o->step == 0)
		o->step = 1;
	if (o->step > 1)	/* with --step 50: 50, 100, ... */
		o->first += (o->step - o->first % o->step) % o->step;
	if (o->jobs == 0)
		o->jobs = sysconf(_SC_NPROCESSORS_ONLN);
	if (o->jobs < 1 || o->verbose || o->first >= o->last)
		o->jobs = 1;
	if (o->jobs > JOBS_MAX)
		o->jobs = JOBS_MAX;
}

int
main(int argc, char **argv)
{
	static char buffer[BUFSIZ];
	struct options options;

	/* Of our own, since what a seed allocates is counted. */
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	get_options(&options, argc, argv);
	if (options.lanes)
		return lanes_run(options.verbose);
	return run(&options);
}
