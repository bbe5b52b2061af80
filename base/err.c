/*
 * base/err.c - error lines
 */
#include "base/err.h"
#include "base/below.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void	set(struct pb_err *, int, int, const char *, va_list)
		    __attribute__((format(printf, 4, 0)));
static int	code_of_errno(int);
static const char *words(int);
static void	make_one_line(char *);

int
pb_err_set(struct pb_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, code, 0, fmt, ap);
	va_end(ap);
	return code;
}

int
pb_err_sys(struct pb_err *err, const char *fmt, ...)
{
	int saved = errno, code = code_of_errno(saved);
	va_list ap;

	va_start(ap, fmt);
	set(err, code, saved, fmt, ap);
	va_end(ap);
	errno = saved;
	return code;
}

int
pb_err_prefix(struct pb_err *err, int code, const char *fmt, ...)
{
	char context[PB_ERR_TEXT_MAX / 2];
	size_t len, kept;
	va_list ap;

	if (err == NULL)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context) - 2, fmt, ap);
	va_end(ap);
	strcat(context, ": ");
	make_one_line(context);
	len = strlen(context);
	kept = strlen(err->text);
	if (kept > sizeof(err->text) - 1 - len)
		kept = sizeof(err->text) - 1 - len;
	memmove(err->text + len, err->text, kept);
	memcpy(err->text, context, len);
	err->text[len + kept] = '\0';
	return code;
}

static void
set(struct pb_err *err, int code, int sys, const char *fmt, va_list ap)
{
	size_t used;

	if (err == NULL)
		return;
	err->code = code;
	err->sys = sys;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	used = strlen(err->text);
	if (sys != 0)
		snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		    words(sys));
	make_one_line(err->text);
}

static int
code_of_errno(int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT:
		return PB_ENOSPC;
	case ENOMEM:
		return PB_ENOMEM;
	case ENOENT:
		return PB_ENOENT;
	case EEXIST:
		return PB_EEXIST;
	default:
		return PB_ESYS;
	}
}

/* The system's words, but for two that base/below.h gives another sense. */
static const char *
words(int sys)
{
	if (sys == PB_BELOW_NOT_PLAIN)
		return "is no plain file";
	if (sys == ELOOP)
		return "is a symbolic link, or too many of them";
	return strerror(sys);
}

/* Names in it come from peers and files: none may forge a second line. */
static void
make_one_line(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}
