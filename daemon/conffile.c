/* SPDX-License-Identifier: ISC */
/*
 * confscan checks the text, libconfuse parses it, core/config says what it
 * means.
 *
 * For libconfuse every option is a list of words: what is a number, and which
 * may be a list, is known in one place only.  It has no line numbers in its
 * tree, and drops what is given twice, so each value is noted when it is
 * parsed, in file order; afterwards the tree is walked for the sections, and
 * the notes of each are given to core.
 */
#include "conffile.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confscan.h"
#include "core/config.h"

#define FILE_MAX (256 * 1024)
#define PARSE_MEMORY (512 * 1024)	/* more than libconfuse takes, */
#define PARSE_MEMORY_FACTOR 64		/* also for a long file */

/* name = value, name = { values } or name(values), as it was parsed. */
struct note {
	const cfg_t *section;
	const cfg_opt_t *opt;
	unsigned int line;
	char **values;
	size_t nvalues;
};

struct parse {
	const char *name;		/* of the file */
	struct confscan scan;
	size_t nended;			/* sections that ended */
	struct note *notes;
	size_t nnotes;
	char *error;
	size_t error_size;		/* 0 once there is an error */
};

/* libconfuse gives its callbacks no argument of ours. */
static struct parse *parsing;

/* ---- errors ---- */

__attribute__((format(printf, 3, 0)))
static void
vfail(struct parse *p, unsigned int line, const char *format, va_list ap)
{
	char *to = p->error;
	size_t room = p->error_size;
	int n;

	p->error_size = 0;
	if (room == 0)
		return;
	n = line > 0 ? snprintf(to, room, "%s:%u: ", p->name, line) :
	    snprintf(to, room, "%s: ", p->name);
	if (n >= 0 && (size_t)n < room)
		vsnprintf(to + n, room - (size_t)n, format, ap);
}

__attribute__((format(printf, 3, 4)))
static void
fail(struct parse *p, unsigned int line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfail(p, line, format, ap);
	va_end(ap);
}

/* Somebody who puts an option into the wrong place is told the right ones. */
static void
fail_unknown(struct parse *p, unsigned int line, const char *option)
{
	struct config_key_info key;
	char places[128] = "";
	size_t len = 0;

	for (size_t i = 0; config_key(i, &key) && len < sizeof(places); i++) {
		const char *in = config_section(key.section).name;

		if (strcmp(key.name, option) != 0)
			continue;
		len += (size_t)snprintf(places + len, sizeof(places) - len,
		    "%s%s%s", len > 0 ? " or " : "",
		    key.section == CONFIG_IN_TOP ? "outside of sections" :
		    "in a section ", in);
	}
	if (len > 0)
		fail(p, line, "no such option '%s' here, expected it %s",
		    option, places);
	else
		fail(p, line, "no such option '%s', expected one of "
		    "rorod.conf(5)", option);
}

/* What libconfuse says about a name, and what we say around it. */
static const struct {
	const char *format, *before, *after;
} sentences[] = {
	{ "found duplicate title '%s'",
	    "expected a name of its own, found '", "' again" },
	{ "missing equal sign after option '%s'", "expected = after ", "" },
	{ "missing opening brace for section '%s'", "expected { after ", "" },
	{ "missing parenthesis for function '%s'",
	    "expected ", "(PREFIX, PORTS)" },
	{ "missing title for section '%s'", "expected a name after ", "" },
};

__attribute__((format(printf, 2, 0)))
static void
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	unsigned int line = (unsigned int)cfg->line;

	if (strcmp(format, "no such option '%s'") == 0) {
		fail_unknown(parsing, line, va_arg(ap, const char *));
		return;
	}
	for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++) {
		if (strcmp(format, sentences[i].format) == 0) {
			fail(parsing, line, "%s%s%s", sentences[i].before,
			    va_arg(ap, const char *), sentences[i].after);
			return;
		}
	}
	vfail(parsing, line, format, ap);
}

/* ---- notes ---- */

static struct note *
add_note(struct parse *p, const cfg_t *section, const cfg_opt_t *opt)
{
	struct note *notes = reallocarray(p->notes, p->nnotes + 1,
	    sizeof(*notes));

	if (notes == NULL)
		return NULL;
	p->notes = notes;
	notes[p->nnotes] = (struct note){
		.section = section,
		.opt = opt,
		.line = (unsigned int)section->line,
	};
	return &notes[p->nnotes++];
}

static bool
add_value(struct note *note, const char *value)
{
	char **values = reallocarray(note->values, note->nvalues + 1,
	    sizeof(*values));

	if (values == NULL)
		return false;
	note->values = values;
	values[note->nvalues] = strdup(value);
	return values[note->nvalues] != NULL && ++note->nvalues > 0;
}

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct parse *p = parsing;
	struct note *note = NULL;

	*(void **)result = NULL;	/* we keep what we need */
	/* The value in question is counted already.  An option that is given
	 * again begins again with 1. */
	note = cfg_opt_size(opt) > 1 ? &p->notes[p->nnotes - 1] :
	    add_note(p, cfg, opt);
	if (note != NULL && add_value(note, value))
		return 0;
	fail(p, 0, "out of memory");
	return -1;
}

static int
on_rule(cfg_t *cfg, cfg_opt_t *opt, int n, const char **values)
{
	struct note *note = add_note(parsing, cfg, opt);

	for (int i = 0; note != NULL && i < n; i++)
		if (!add_value(note, values[i]))
			note = NULL;
	if (note != NULL)
		return 0;
	fail(parsing, 0, "out of memory");
	return -1;
}

/* A section ends.  Its line is that of its end; we want its beginning. */
static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	(void)cfg;
	section->line = (int)parsing->scan.begins[parsing->nended++];
	return 0;
}

/* ---- the grammar ---- */

static void
free_options(cfg_opt_t *opts)
{
	if (opts == NULL)
		return;
	for (size_t i = 0; opts[i].name != NULL; i++)
		free_options(opts[i].subopts);
	free(opts);
}

/* What may be in section `s`.  NULL if out of memory. */
static cfg_opt_t *
make_options(enum config_section s)
{
	struct config_key_info key;
	size_t nkeys = 0, n = 0;

	while (config_key(nkeys, &key))
		nkeys++;
	cfg_opt_t *opts = calloc(nkeys + CONFIG_NSECTIONS + 1, sizeof(*opts));
	if (opts == NULL)
		return NULL;
	for (size_t i = 0; config_key(i, &key); i++) {
		if (key.section != s)
			continue;
		opts[n++] = key.rule ?
		    (cfg_opt_t)CFG_FUNC(key.name, on_rule) :
		    (cfg_opt_t)CFG_PTR_LIST_CB(key.name, NULL, CFGF_NODEFAULT,
			on_value, NULL);
	}
	for (size_t i = CONFIG_IN_TOP + 1; i < CONFIG_NSECTIONS; i++) {
		struct config_section_info info = config_section(i);
		cfg_flag_t flags = CFGF_MULTI;

		if (info.parent != s)
			continue;
		if (info.titled)
			flags |= CFGF_TITLE | CFGF_NO_TITLE_DUPES;
		cfg_opt_t *inner = make_options(i);
		if (inner == NULL) {
			free_options(opts);
			return NULL;
		}
		opts[n] = (cfg_opt_t)CFG_SEC(info.name, inner, flags);
		opts[n++].validcb = on_section;
	}
	return opts;
}

/* ---- from libconfuse to core ---- */

/* Errors stay in the builder, so results are not looked at. */
static void
build(struct parse *p, struct config_builder *b, cfg_t *section)
{
	for (size_t i = 0; i < p->nnotes; i++) {
		const struct note *note = &p->notes[i];
		const char *const *values = (const char *const *)note->values;

		if (note->section != section)
			continue;
		if (note->opt->type == CFGT_FUNC)
			config_rule(b, note->opt->name, values, note->nvalues,
			    note->line);
		else
			config_value(b, note->opt->name, values, note->nvalues,
			    note->line);
	}
	for (cfg_opt_t *opt = section->opts; opt->name != NULL; opt++) {
		for (unsigned int i = 0; opt->type == CFGT_SEC &&
		    i < cfg_opt_size(opt); i++) {
			cfg_t *inner = cfg_opt_getnsec(opt, i);

			config_begin(b, opt->name, cfg_title(inner),
			    (unsigned int)inner->line);
			build(p, b, inner);
			config_end(b);
		}
	}
}

/* libconfuse crashes when it gets no memory, which must not happen in a reload:
 * is there much more than it will use? */
static bool
is_enough_memory(size_t len)
{
	void *volatile some = malloc(PARSE_MEMORY + PARSE_MEMORY_FACTOR * len);

	free(some);
	return some != NULL;
}

static struct config *
parse_checked(struct parse *p, const char *text)
{
	struct config_builder *b = config_builder_new(p->name);
	cfg_opt_t *opts = make_options(CONFIG_IN_TOP);
	cfg_t *cfg = opts != NULL ? cfg_init(opts, CFGF_NONE) : NULL;
	struct config *config = NULL;

	if (b == NULL || cfg == NULL || !is_enough_memory(strlen(text))) {
		fail(p, 0, "out of memory");
		goto out;
	}
	cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
		fail(p, 0, "libconfuse cannot parse this");
		goto out;
	}
	build(p, b, cfg);
	config = config_finish(b);
	if (config == NULL && p->error_size > 0)
		snprintf(p->error, p->error_size, "%s", config_error(b));
out:
	if (cfg != NULL)
		cfg_free(cfg);
	free_options(opts);
	config_builder_free(b);
	return config;
}

struct config *
conffile_parse(const char *name, const char *text, size_t len, char *error,
    size_t size)
{
	struct parse p = {
		.name = name,
		.error = error,
		.error_size = size,
	};
	struct config *config = NULL;
	char *copy = malloc(len + 1);

	if (copy == NULL) {
		fail(&p, 0, "out of memory");
		return NULL;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	parsing = &p;
	if (confscan_check(&p.scan, copy, len) < 0)
		fail(&p, p.scan.line, "%s", p.scan.error);
	else
		config = parse_checked(&p, copy);
	parsing = NULL;

	for (size_t i = 0; i < p.nnotes; i++) {
		for (size_t j = 0; j < p.notes[i].nvalues; j++)
			free(p.notes[i].values[j]);
		free(p.notes[i].values);
	}
	free(p.notes);
	confscan_clear(&p.scan);
	free(copy);
	return config;
}

/* ---- the file ---- */

/* Up to `size` bytes; -errno, and -EFBIG if there are more. */
static ssize_t
read_all(int fd, char *to, size_t size)
{
	size_t used = 0;

	for (;;) {
		ssize_t n = read(fd, to + used, size - used);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			return (ssize_t)used;
		used += (size_t)n;
		if (used == size)
			return -EFBIG;
	}
}

static ssize_t
read_path(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -errno;
	ssize_t len = read_all(fd, to, size);
	close(fd);
	return len;
}

struct config *
conffile_read(const char *path, char *error, size_t size)
{
	struct parse p = { .name = path, .error = error, .error_size = size };
	struct config *config = NULL;
	char *text = malloc(FILE_MAX + 1);
	ssize_t len = text != NULL ? read_path(path, text, FILE_MAX + 1) :
	    -ENOMEM;

	if (len >= 0)
		config = conffile_parse(path, text, (size_t)len, error, size);
	else if (len == -EISDIR)
		fail(&p, 0, "expected a file, found a directory");
	else if (len == -EFBIG)
		fail(&p, 0, "expected at most %d KiB, found more",
		    FILE_MAX / 1024);
	else
		fail(&p, 0, "%s", strerror((int)-len));
	free(text);
	return config;
}
