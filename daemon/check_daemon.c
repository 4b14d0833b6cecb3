/* SPDX-License-Identifier: ISC */
/*
 * A process is a rorod if its name is, and ours if it was started with the same
 * file or has one of our listeners.  Of processes of others we see the name and
 * the command line only, unless we are root.
 */
#include "check_daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_report.h"

#define NAME "rorod"
#define DEFAULT_FILE SYSCONFDIR "/rorod.conf"

struct search {
	const struct check_machine *machine;
	const char *file;
	const struct check_sockets *sockets;
	const struct addr *listen;
	size_t n;
	char *namespace;		/* of ours, or NULL */
	struct check_daemon *found;
};

/* ---- listeners ---- */

static void
add_sockets(const struct check_machine *m, const char *file,
    struct check_sockets *sockets)
{
	char *text = check_read(m, "%s", file);
	const char *p = text;
	struct check_socket s;

	while (p != NULL && check_text_listener(&p, &s)) {
		sockets->list = check_grow(sockets->list, sockets->n + 1,
		    sizeof(s));
		sockets->list[sockets->n++] = s;
	}
	free(text);
}

void
check_find_sockets(const struct check_machine *m, struct check_sockets *s)
{
	*s = (struct check_sockets){ 0 };
	add_sockets(m, "/proc/net/tcp", s);
	add_sockets(m, "/proc/net/tcp6", s);
}

void
check_free_sockets(struct check_sockets *s)
{
	free(s->list);
}

bool
check_overlap(const struct addr *a, const struct addr *b)
{
	if (a->port != b->port)
		return false;
	/* `::` takes IPv4, too. */
	if (addr_is_any(a))
		return a->family == 6 || b->family == 4 || addr_is_any(b);
	if (addr_is_any(b))
		return b->family == 6 || a->family == 4;
	return addr_equal(a, b);
}

/* ---- processes ---- */

static bool
is_number(const char *name)
{
	return *name != '\0' && name[strspn(name, "0123456789")] == '\0';
}

static bool
has_inode(const char *link, uint64_t *inode)
{
	return link != NULL && sscanf(link, "socket:[%" SCNu64 "]", inode) == 1;
}

struct descriptors {
	const struct check_machine *machine;
	long pid;
	struct check_daemon *daemon;
};

static bool
add_descriptor(void *user, const char *name)
{
	struct descriptors *d = user;
	struct check_daemon *daemon = d->daemon;
	char *link = check_link(d->machine, "/proc/%ld/fd/%s", d->pid, name);
	uint64_t inode;

	/* A directory that we cannot read has no names. */
	daemon->visible = true;
	if (has_inode(link, &inode)) {
		daemon->sockets = check_grow(daemon->sockets,
		    daemon->nsockets + 1, sizeof(inode));
		daemon->sockets[daemon->nsockets++] = inode;
	}
	free(link);
	return false;
}

/* The service manager has started it, and not somebody's shell, which may be
 * part of a service as well. */
static void
find_unit(const struct check_machine *m, struct check_daemon *daemon)
{
	char *cgroup = check_read(m, "/proc/%ld/cgroup", daemon->pid);
	char *status = check_read(m, "/proc/%ld/status", daemon->pid);
	uint64_t parent;

	if (cgroup == NULL || status == NULL ||
	    !check_text_status(status, "PPid", 10, &parent) || parent != 1 ||
	    !check_text_unit(cgroup, daemon->unit))
		daemon->unit[0] = '\0';
	free(cgroup);
	free(status);
}

/* `daemon` is empty. */
static void
look_at(const struct check_machine *m, long pid, struct check_daemon *daemon)
{
	struct descriptors d = { m, pid, daemon };
	char *fds = check_format("/proc/%ld/fd", pid);

	daemon->pid = pid;
	check_each(m, fds, add_descriptor, &d);
	find_unit(m, daemon);
	free(fds);
}

bool
check_owns(const struct check_daemon *d, uint64_t inode)
{
	for (size_t i = 0; i < d->nsockets; i++)
		if (d->sockets[i] == inode)
			return true;
	return false;
}

static bool
listens_for_us(const struct search *s, const struct check_daemon *d)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		const struct check_socket *socket = &s->sockets->list[i];

		for (size_t j = 0; j < s->n; j++)
			if (addr_equal(&socket->address, &s->listen[j]) &&
			    check_owns(d, socket->inode))
				return true;
	}
	return false;
}

char *
check_file_of(const char *words, size_t len)
{
	const char *end = words + len, *p = words, *file = DEFAULT_FILE;
	bool next = false;

	for (; p < end && memchr(p, '\0', (size_t)(end - p)) != NULL;
	    p += strlen(p) + 1) {
		if (next)
			file = p;
		next = strcmp(p, "-c") == 0 || strcmp(p, "-dc") == 0 ||
		    strcmp(p, "--config") == 0;
		if (strncmp(p, "-c", 2) == 0 && p[2] != '\0')
			file = p + 2;
		else if (strncmp(p, "--config=", 9) == 0)
			file = p + 9;
	}
	return check_format("%s", file);
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static bool
has_our_file(const struct search *s, long pid)
{
	size_t len = 0;
	char *words = check_read_bytes(s->machine, &len, "/proc/%ld/cmdline",
	    pid);
	char *file = check_file_of(words != NULL ? words : "", len);
	char *cwd = check_link(s->machine, "/proc/%ld/cwd", pid);
	bool same;

	if (file[0] != '/' && cwd != NULL) {
		char *relative = file;

		file = check_format("%s/%s", cwd, relative);
		free(relative);
	}
	same = words != NULL && same_file(file, s->file);
	free(words);
	free(file);
	free(cwd);
	return same;
}

/* Has the process not ended?  Whatever was there of it before that was its. */
static bool
lives(const struct check_machine *m, const char *pid)
{
	char *stat = check_read(m, "/proc/%s/stat", pid);
	const char *state = stat != NULL ? strrchr(stat, ')') : NULL;
	bool lives = state != NULL && strncmp(state, ") Z", 3) != 0;

	free(stat);
	return lives;
}

/* A rorod of this network namespace that lives, as far as we can see: that of
 * others is hidden, unless we are root. */
static bool
is_rorod(const struct search *s, const char *pid)
{
	char *name = check_read(s->machine, "/proc/%s/comm", pid);
	bool is = name != NULL && strcmp(name, NAME "\n") == 0;
	char *namespace;

	free(name);
	if (!is)
		return false;
	namespace = check_link(s->machine, "/proc/%s/ns/net", pid);
	if (namespace != NULL && s->namespace != NULL)
		is = strcmp(namespace, s->namespace) == 0;
	free(namespace);
	return is && lives(s->machine, pid);
}

static bool
try_process(void *user, const char *name)
{
	struct search *s = user;
	struct check_daemon d = { 0 };
	long pid;

	if (!is_number(name) || !is_rorod(s, name))
		return false;
	pid = strtol(name, NULL, 10);
	look_at(s->machine, pid, &d);
	if (has_our_file(s, pid) || listens_for_us(s, &d)) {
		*s->found = d;
		return true;
	}
	s->found->other = pid;
	check_free_daemon(&d);
	return false;
}

void
check_find_daemon(const struct check_machine *m, const char *file,
    const struct check_sockets *sockets, const struct addr *listen, size_t n,
    struct check_daemon *found)
{
	struct search s = { m, file, sockets, listen, n,
		check_link(m, "/proc/self/ns/net"), found };

	*found = (struct check_daemon){ 0 };
	check_each(m, "/proc", try_process, &s);
	free(s.namespace);
}

void
check_free_daemon(struct check_daemon *d)
{
	free(d->sockets);
}

/* ---- whose socket? ---- */

struct owner {
	const struct check_machine *machine;
	uint64_t inode;
	const char *pid;	/* of the process that is looked at */
	char *text;
};

static bool
is_descriptor(void *user, const char *name)
{
	const struct owner *o = user;
	char *link = check_link(o->machine, "/proc/%s/fd/%s", o->pid, name);
	uint64_t inode;
	bool is = has_inode(link, &inode) && inode == o->inode;

	free(link);
	return is;
}

static bool
is_owner(void *user, const char *name)
{
	struct owner *o = user;
	char *fds, *comm;
	bool is;

	if (!is_number(name))
		return false;
	o->pid = name;
	fds = check_format("/proc/%s/fd", name);
	is = check_each(o->machine, fds, is_descriptor, o);
	free(fds);
	if (!is)
		return false;
	comm = check_read(o->machine, "/proc/%s/comm", name);
	o->text = check_format("%.*s (%s)", comm != NULL ?
	    (int)strcspn(comm, "\n") : 1, comm != NULL ? comm : "?", name);
	free(comm);
	return true;
}

char *
check_owner(const struct check_machine *m, uint64_t inode)
{
	struct owner o = { .machine = m, .inode = inode };

	check_each(m, "/proc", is_owner, &o);
	return o.text;
}
