/* SPDX-License-Identifier: ISC */
#include "check_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"
#define TCP_LISTEN 0x0a		/* as /proc/net/tcp has it */
#define WORD_MAX 128

/* ---- lines and words ---- */

/* The next line without its end, cut to `size`; false: there is none. */
static bool
next_line(const char **text, char *line, size_t size)
{
	size_t len = strcspn(*text, "\n"), copied = len < size ? len : size - 1;

	if (**text == '\0')
		return false;
	memcpy(line, *text, copied);
	line[copied] = '\0';
	*text += len;
	if (**text == '\n')
		++*text;
	return true;
}

/* The next word, cut to `size`, with quotes of either kind around it or not;
 * false: there is none. */
static bool
next_word(const char **text, char *word, size_t size)
{
	const char *p = *text + strspn(*text, BLANKS);
	char quotes[2] = "";
	size_t len, copied;

	if (*p == '\0')
		return false;
	if (*p == '\'' || *p == '"')
		quotes[0] = *p++;
	len = strcspn(p, quotes[0] != '\0' ? quotes : BLANKS);
	copied = len < size ? len : size - 1;
	memcpy(word, p, copied);
	word[copied] = '\0';
	p += len;
	if (*p != '\0' && *p == quotes[0])
		p++;
	*text = p;
	return true;
}

/* A number of digits at *p, which moves behind it. */
static bool
digits(const char **p, int base, uint64_t *n)
{
	unsigned long long value;
	char *end;

	if (strchr(BLANKS "+-\n", **p) != NULL)	/* also at the end */
		return false;
	errno = 0;
	value = strtoull(*p, &end, base);
	if (end == *p || errno != 0)
		return false;
	*n = value;
	*p = end;
	return true;
}

bool
check_text_number(const char *text, uint64_t *n)
{
	const char *p = text + strspn(text, BLANKS "\n");

	return digits(&p, 10, n) && p[strspn(p, BLANKS "\n")] == '\0';
}

size_t
check_text_numbers(const char *text, uint64_t *numbers, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		text += strspn(text, BLANKS "\n");
		if (!digits(&text, 10, &numbers[i]))
			break;
	}
	return i;
}

bool
check_text_has(const char *list, const char *word)
{
	size_t len;

	for (; *list != '\0'; list += len) {
		list += strspn(list, BLANKS "\n");
		len = strcspn(list, BLANKS "\n");
		if (len > 0 && len == strlen(word) &&
		    memcmp(list, word, len) == 0)
			return true;
	}
	return false;
}

/* ---- /proc ---- */

static bool
hex_word(const char *text, uint32_t *word)
{
	char copy[9];

	if (strnlen(text, 8) < 8)
		return false;
	memcpy(copy, text, 8);
	copy[8] = '\0';
	if (strspn(copy, "0123456789abcdefABCDEF") != 8)
		return false;
	*word = (uint32_t)strtoul(copy, NULL, 16);
	return true;
}

/* "0100007F:0016", or four such words.  The kernel prints each word of an
 * address as if it were a number of this machine. */
static bool
socket_address(const char *text, struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	size_t words = strcspn(text, ":") / 8;
	uint64_t port;
	uint8_t ip[16];

	if (words != 1 && words != 4)
		return false;
	for (size_t i = 0; i < words; i++, text += 8) {
		uint32_t word;

		if (!hex_word(text, &word))
			return false;
		memcpy(ip + 4 * i, &word, sizeof(word));
	}
	if (*text++ != ':' || !digits(&text, 16, &port) || port > UINT16_MAX)
		return false;
	*a = (struct addr){ .family = words == 1 ? 4 : 6,
		.port = (uint16_t)port };
	memcpy(a->ip, ip, 4 * words);
	if (words == 4 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
		*a = (struct addr){ .family = 4, .port = (uint16_t)port };
		memcpy(a->ip, ip + sizeof(mapped), 4);
	}
	return true;
}

/* "0: LOCAL REMOTE STATE QUEUES TIMER RETRANSMISSIONS UID TIMEOUT INODE ..." */
static bool
socket_line(const char *line, struct check_socket *s)
{
	enum { LOCAL = 1, STATE = 3, INODE = 9 };
	char word[WORD_MAX];
	uint64_t state;

	for (int i = 0; i <= INODE; i++) {
		const char *p = word;

		if (!next_word(&line, word, sizeof(word)))
			return false;
		if (i == LOCAL && !socket_address(word, &s->address))
			return false;
		if (i == STATE && (!digits(&p, 16, &state) ||
		    state != TCP_LISTEN))
			return false;
	}
	return check_text_number(word, &s->inode);
}

bool
check_text_listener(const char **text, struct check_socket *s)
{
	char line[256];

	while (next_line(text, line, sizeof(line)))
		if (socket_line(line, s))
			return true;
	return false;
}

/* "unlimited", or a number. */
static bool
limit_word(const char **line, uint64_t *n)
{
	char word[WORD_MAX];

	*n = UINT64_MAX;
	return next_word(line, word, sizeof(word)) &&
	    (strcmp(word, "unlimited") == 0 || check_text_number(word, n));
}

bool
check_text_limit(const char *text, const char *name, uint64_t *soft,
    uint64_t *hard)
{
	size_t len = strlen(name);
	char line[256];

	while (next_line(&text, line, sizeof(line))) {
		const char *p = line + len;

		if (strncmp(line, name, len) == 0 &&
		    (*p == ' ' || *p == '\t'))
			return limit_word(&p, soft) && limit_word(&p, hard);
	}
	return false;
}

bool
check_text_status(const char *text, const char *field, int base, uint64_t *n)
{
	size_t len = strlen(field);
	char line[256];

	while (next_line(&text, line, sizeof(line))) {
		const char *p = line + len;

		if (strncmp(line, field, len) != 0 || *p++ != ':')
			continue;
		p += strspn(p, BLANKS);
		return digits(&p, base, n);
	}
	return false;
}

bool
check_text_assignment(const char *text, const char *name, uint64_t *n)
{
	size_t len = strlen(name);
	bool found = false;
	char line[256];

	while (next_line(&text, line, sizeof(line)))
		if (strncmp(line, name, len) == 0 && line[len] == '=' &&
		    check_text_number(line + len + 1, n))
			found = true;
	return found;
}

/* "0::/system.slice/rorod.service" */
bool
check_text_unit(const char *text, char unit[static CHECK_UNIT_MAX])
{
	static const char suffix[] = ".service";
	size_t end = sizeof(suffix) - 1, len;
	char line[512];

	while (next_line(&text, line, sizeof(line))) {
		const char *name = strrchr(line, '/');

		if (name == NULL)
			continue;
		len = strlen(++name);
		if (len <= end || len >= CHECK_UNIT_MAX ||
		    strcmp(name + len - end, suffix) != 0)
			continue;
		memcpy(unit, name, len + 1);
		return true;
	}
	return false;
}

/* ---- UCI ---- */

bool
check_text_uci(const char *text, const char *type, const char *option,
    char value[static CHECK_UCI_MAX])
{
	bool inside = false;
	char line[512], word[WORD_MAX];

	while (next_line(&text, line, sizeof(line))) {
		const char *p = line;

		if (!next_word(&p, word, sizeof(word)))
			continue;
		if (strcmp(word, "config") == 0) {
			if (inside)
				return false;
			inside = next_word(&p, word, sizeof(word)) &&
			    strcmp(word, type) == 0;
		} else if (inside && strcmp(word, "option") == 0 &&
		    next_word(&p, word, sizeof(word)) &&
		    strcmp(word, option) == 0) {
			return next_word(&p, value, CHECK_UCI_MAX);
		}
	}
	return false;
}

/* ---- rules of iptables ---- */

bool
check_ports_have(const struct check_ports *ports, uint16_t port)
{
	for (size_t i = 0; i < ports->n; i++)
		if (port >= ports->ranges[i].first &&
		    port <= ports->ranges[i].last)
			return !ports->except;
	return ports->except;
}

/* "80" or "8000:8999". */
static bool
port_range(const char **p, struct acl_ports *range)
{
	uint64_t first, last;

	if (!digits(p, 10, &first) || first > UINT16_MAX)
		return false;
	last = first;
	if (**p == ':' && (++*p, !digits(p, 10, &last)))
		return false;
	*range = (struct acl_ports){ (uint16_t)first, (uint16_t)last };
	return last <= UINT16_MAX && first <= last;
}

/* "80,443,8000:8999"; one that is not understood leaves all ports. */
static void
port_list(const char *p, bool except, struct check_ports *ports)
{
	struct check_ports list = { .except = except };

	do {
		if (list.n == CHECK_PORTS_MAX ||
		    !port_range(&p, &list.ranges[list.n]))
			return;
		list.n++;
	} while (*p++ == ',');
	*ports = list;
}

/* One option with its value, and "!" before it or not.  Is it the target? */
static bool
xt_option(const char *option, const char *value, bool not, const char *target,
    struct check_xt_rule *rule)
{
	if (strcmp(option, "-p") == 0) {
		rule->tcp = (strcmp(value, "tcp") == 0) != not;
		rule->udp = (strcmp(value, "udp") == 0) != not;
	} else if (strcmp(option, "--dport") == 0 ||
	    strcmp(option, "--dports") == 0) {
		port_list(value, not, &rule->ports);
	}
	return strcmp(option, "-j") == 0 && strcmp(value, target) == 0;
}

/* "-A CHAIN [! -p PROTOCOL] [[!] --dport PORTS] ... -j TARGET ..." */
static bool
xt_line(const char *line, const char *target, struct check_xt_rule *rule)
{
	bool not = false, hit = false;
	char option[WORD_MAX], value[WORD_MAX];

	*rule = (struct check_xt_rule){ .tcp = true, .udp = true,
		.ports.except = true };
	if (!next_word(&line, option, sizeof(option)) ||
	    strcmp(option, "-A") != 0)
		return false;
	line += strspn(line, BLANKS);
	if (strlen(line) < sizeof(rule->spec))
		memcpy(rule->spec, line, strlen(line) + 1);
	if (!next_word(&line, rule->chain, sizeof(rule->chain)))
		return false;
	while (next_word(&line, option, sizeof(option))) {
		const char *after = line;

		if (next_word(&after, value, sizeof(value)))
			hit = xt_option(option, value, not, target, rule) ||
			    hit;
		not = strcmp(option, "!") == 0;
	}
	return hit;
}

bool
check_text_xt_rule(const char **text, const char *target,
    struct check_xt_rule *rule)
{
	char line[1024];

	while (next_line(text, line, sizeof(line)))
		if (xt_line(line, target, rule))
			return true;
	return false;
}
