/* SPDX-License-Identifier: ISC */
/*
 * The order matters.  The bounding set, groups and ids need capabilities, which
 * are reduced after them; that the user changes would clear all of them, hence
 * PR_SET_KEEPCAPS.  A change of ids also sets "dumpable" to what fs.
 * suid_dumpable says, so it comes last.
 *
 * What the system said is not believed: at the end everything is asked for.
 *
 * capset(2) is called as it is: libcap would be one more library, for this.
 */
#include "privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* LeakSanitizer stops and reads its own process, which has to be dumpable. */
#if defined(__SANITIZE_ADDRESS__)
#define DUMPABLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DUMPABLE 1
#endif
#endif
#ifndef DUMPABLE
#define DUMPABLE 0
#endif

#define GROUPS_MAX 65536	/* the kernel's NGROUPS_MAX */

struct capabilities {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

/* ---- names ---- */

static int
add_groups(struct privs *p, const char *user)
{
	for (int room = 64; room <= GROUPS_MAX; room *= 2) {
		int n = room;
		gid_t *groups = calloc((size_t)room, sizeof(*groups));

		if (groups == NULL)
			return -ENOMEM;
		if (getgrouplist(user, p->gid, groups, &n) != -1) {
			p->groups = groups;
			p->ngroups = (size_t)n;
			return 0;
		}
		free(groups);
	}
	return -E2BIG;
}

static bool
find_user(struct privs *p, const char *name, char *error, size_t size)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (user == NULL) {
		snprintf(error, size, "user \"%s\": %s", name,
		    errno != 0 ? strerror(errno) : "there is none");
		return false;
	}
	p->uid = user->pw_uid;
	p->gid = user->pw_gid;
	return true;
}

static bool
find_group(struct privs *p, const char *name, char *error, size_t size)
{
	const struct group *group;

	errno = 0;
	group = getgrnam(name);
	if (group == NULL) {
		snprintf(error, size, "group \"%s\": %s", name,
		    errno != 0 ? strerror(errno) : "there is none");
		return false;
	}
	p->gid = group->gr_gid;
	return true;
}

static bool
find(struct privs *p, const char *user, const char *group, char *error,
    size_t size)
{
	int result;

	if ((user != NULL && !find_user(p, user, error, size)) ||
	    (group != NULL && !find_group(p, group, error, size)))
		return false;
	if (user != NULL && (result = add_groups(p, user)) != 0) {
		snprintf(error, size, "groups of user \"%s\": %s", user,
		    strerror(-result));
		return false;
	}
	return true;
}

struct privs *
privs_find(const char *user, const char *group, char *error, size_t size)
{
	struct privs *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	p->uid = geteuid();
	p->gid = getegid();
	p->set_groups = user != NULL || group != NULL;
	if (find(p, user, group, error, size))
		return p;
	privs_free(p);
	return NULL;
}

void
privs_free(struct privs *p)
{
	if (p == NULL)
		return;
	free(p->groups);
	free(p);
}

/* ---- user and groups ---- */

/* That of the process itself is no matter: it is implied. */
static bool
includes(const gid_t *groups, size_t n, gid_t group, gid_t own)
{
	for (size_t i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return group == own;
}

static bool
has_groups(const struct privs *p)
{
	int n = getgroups(0, NULL);
	gid_t *groups;
	bool same;

	if (n < 0 || (groups = calloc((size_t)n + 1, sizeof(*groups))) == NULL)
		return false;
	n = getgroups(n, groups);
	same = n >= 0;
	for (int i = 0; i < n; i++)
		same &= includes(p->groups, p->ngroups, groups[i], p->gid);
	for (size_t i = 0; same && i < p->ngroups; i++)
		same = includes(groups, (size_t)n, p->groups[i], p->gid);
	free(groups);
	return same;
}

/* Who is that already needs no right to become it. */
static const char *
become(const struct privs *p)
{
	if (p->set_groups && !has_groups(p) &&
	    setgroups(p->ngroups, p->groups) == -1)
		return "setgroups";
	if (setresgid(p->gid, p->gid, p->gid) == -1)
		return "setresgid";
	if (setresuid(p->uid, p->uid, p->uid) == -1)
		return "setresuid";
	return NULL;
}

static bool
is_that(const struct privs *p)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) == -1 ||
	    getresgid(&gid[0], &gid[1], &gid[2]) == -1)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != p->uid || gid[i] != p->gid)
			return false;
	return !p->set_groups || has_groups(p);
}

/* ---- capabilities ---- */

static int
get_capabilities(struct capabilities *c)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return (int)syscall(SYS_capget, &header, c->words);
}

static int
set_capabilities(const struct capabilities *c)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return (int)syscall(SYS_capset, &header, c->words);
}

/* Of what is there, what may stay. */
static struct capabilities
reduced(const struct capabilities *now, bool net_admin)
{
	uint32_t keep = net_admin ? UINT32_C(1) << CAP_NET_ADMIN : 0;

	keep &= now->words[0].permitted;
	return (struct capabilities){
		.words[0] = { .permitted = keep, .effective = keep },
	};
}

static bool
has_capabilities(const struct capabilities *wanted)
{
	struct capabilities now;

	return get_capabilities(&now) == 0 &&
	    memcmp(&now, wanted, sizeof(now)) == 0;
}

/* The sets of which a program that we execute would get some.  Without
 * CAP_SETPCAP the bounding set cannot change; no_new_privs makes it void. */
static void
clear_sets(void)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0ul, 0ul, 0ul);
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0ul, 0ul, 0ul) >= 0;
	    i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0ul, 0ul, 0ul);
}

/* ---- all of it ---- */

static const char *
drop(const struct privs *p, const struct capabilities *wanted)
{
	const struct rlimit none = { 0, 0 };
	const char *failed;

	clear_sets();
	(void)prctl(PR_SET_KEEPCAPS, 1ul, 0ul, 0ul, 0ul);
	if ((failed = become(p)) != NULL)
		return failed;
	if (set_capabilities(wanted) == -1)
		return "capset";
	(void)prctl(PR_SET_KEEPCAPS, 0ul, 0ul, 0ul, 0ul);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) == -1)
		return "PR_SET_NO_NEW_PRIVS";
	if (setrlimit(RLIMIT_CORE, &none) == -1)
		return "RLIMIT_CORE";
	if (prctl(PR_SET_DUMPABLE, (unsigned long)DUMPABLE, 0ul, 0ul, 0ul) ==
	    -1)
		return "PR_SET_DUMPABLE";
	return NULL;
}

/* What is not as it should be. */
static const char *
find_wrong(const struct privs *p, const struct capabilities *wanted)
{
	struct rlimit core;

	if (!is_that(p))
		return "user or groups did not change";
	if (!has_capabilities(wanted))
		return "capabilities did not change";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0ul, 0ul, 0ul, 0ul) != 1)
		return "no_new_privs is not set";
	if (prctl(PR_GET_DUMPABLE, 0ul, 0ul, 0ul, 0ul) != DUMPABLE ||
	    getrlimit(RLIMIT_CORE, &core) == -1 || core.rlim_max != 0)
		return "core dumps are possible";
	return NULL;
}

int
privs_drop(const struct privs *p, bool net_admin, char *error, size_t size)
{
	struct capabilities now, wanted;
	const char *failed;

	failed = get_capabilities(&now) == -1 ? "capget" : NULL;
	if (failed == NULL) {
		wanted = reduced(&now, net_admin);
		failed = drop(p, &wanted);
	}
	if (failed != NULL) {
		int result = -errno;

		snprintf(error, size, "privileges: %s: %s", failed,
		    strerror(-result));
		return result;
	}
	if ((failed = find_wrong(p, &wanted)) != NULL) {
		snprintf(error, size, "privileges: %s", failed);
		return -EPERM;
	}
	return 0;
}
