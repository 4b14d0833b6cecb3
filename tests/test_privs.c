/* SPDX-License-Identifier: ISC */
/*
 * What is dropped is gone for good, so each test drops in a child.  They say
 * most when root runs them, and hold for everybody.
 */
#include "privs.h"

#include <linux/capability.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NET_ADMIN (UINT64_C(1) << CAP_NET_ADMIN)

/* Does it hold in a child of ours? */
static bool
in_child(bool (*holds)(void))
{
	pid_t child = fork();
	int status;

	assert_int_not_equal(child, -1);
	if (child == 0)
		_exit(holds() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Those that we can use; ~0 if some others are left. */
static uint64_t
capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct w[2];

	if (syscall(SYS_capget, &header, w) == -1 ||
	    w[0].permitted != w[0].effective ||
	    w[1].permitted != w[1].effective ||
	    w[0].inheritable != 0 || w[1].inheritable != 0)
		return UINT64_MAX;
	return (uint64_t)w[1].effective << 32 | w[0].effective;
}

static bool
drop(const char *user, const char *group, bool net_admin)
{
	char error[256] = "";
	struct privs *p = privs_find(user, group, error, sizeof(error));
	bool done = p != NULL && privs_drop(p, net_admin, error,
	    sizeof(error)) == 0;

	if (!done)
		printf("%s\n", error);
	privs_free(p);
	return done;
}

static bool
dropped_for_good(void)
{
	struct rlimit core;

	return prctl(PR_GET_NO_NEW_PRIVS, 0ul, 0ul, 0ul, 0ul) == 1 &&
	    getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
	    (geteuid() == 0 || setuid(0) == -1);
}

static bool
all_goes(void)
{
	uid_t before = geteuid();

	return drop(NULL, NULL, false) && geteuid() == before &&
	    capabilities() == 0 && dropped_for_good() &&
	    (before != 0 || prctl(PR_CAPBSET_READ, 0ul, 0ul, 0ul, 0ul) == 0);
}

static bool
net_admin_stays(void)
{
	uint64_t before = capabilities() & NET_ADMIN;

	return drop(NULL, NULL, true) && capabilities() == before &&
	    dropped_for_good();
}

static bool
again_is_no_error(void)
{
	return all_goes() && all_goes() && net_admin_stays();
}

static bool
user_changes(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	gid_t groups[8];
	uid_t uid = nobody->pw_uid, r, e, s;
	gid_t gid = nobody->pw_gid;

	if (!drop("nobody", NULL, true) || getresuid(&r, &e, &s) == -1)
		return false;
	return r == uid && e == uid && s == uid && getgid() == gid &&
	    getgroups(8, groups) <= 1 && capabilities() == NET_ADMIN &&
	    dropped_for_good();
}

static bool
group_alone_changes(void)
{
	return drop(NULL, "root", false) && getuid() == 0 && getgid() == 0 &&
	    getgroups(0, NULL) == 0;
}

static bool
own_name_needs_no_right(void)
{
	return drop("nobody", NULL, false) && drop("nobody", NULL, false) &&
	    capabilities() == 0;
}

static bool
other_name_needs_one(void)
{
	return drop("nobody", NULL, false) && !drop("root", NULL, false);
}

static void
everything_goes_and_never_comes_back(void **state)
{
	(void)state;
	assert_true(in_child(all_goes));
}

static void
net_admin_can_stay_alone(void **state)
{
	(void)state;
	assert_true(in_child(net_admin_stays));
}

static void
who_has_nothing_can_drop_it(void **state)
{
	(void)state;
	assert_true(in_child(again_is_no_error));
}

static void
names_are_changed_to(void **state)
{
	(void)state;
	if (geteuid() != 0 || getpwnam("nobody") == NULL)
		skip();
	assert_true(in_child(user_changes));
	assert_true(in_child(group_alone_changes));
	assert_true(in_child(own_name_needs_no_right));
	assert_true(in_child(other_name_needs_one));
}

static void
unknown_names_are_told(void **state)
{
	char error[64];

	(void)state;
	assert_null(privs_find("no such user", NULL, error, sizeof(error)));
	assert_string_equal(error, "user \"no such user\": there is none");
	assert_null(privs_find(NULL, "no such group", error, sizeof(error)));
	assert_string_equal(error, "group \"no such group\": there is none");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_goes_and_never_comes_back),
		cmocka_unit_test(net_admin_can_stay_alone),
		cmocka_unit_test(who_has_nothing_can_drop_it),
		cmocka_unit_test(names_are_changed_to),
		cmocka_unit_test(unknown_names_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
