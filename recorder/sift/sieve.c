/*
 * recorder/sift/sieve.c - the filter of an upstream, once its names are known
 */
#include "recorder/sift/sieve.h"

#include <stdlib.h>
#include <string.h>

#include "pcapng/block.h"

struct sieve_work {
	char		*text;
	uint16_t	 linktype;
	struct pb_filter *filter;
	int		 rc;
	struct pb_err	 err;
};

static int	begin(struct pb_sieve *, const char *, uint16_t,
		    struct pb_err *);
static void	compile(void *);
static void	drop(void *);

int
pb_sieve_make(struct pb_sieve *sieve, const char *text, uint16_t linktype,
    unsigned ms_max, struct pb_err *err)
{
	struct sieve_work *work;
	int rc = 0;

	if (text[0] == '\0' || sieve->filter != NULL)
		return 0;
	if (sieve->aside == NULL)
		rc = begin(sieve, text, linktype, err);
	if (rc < 0)
		return rc;
	if (!pb_aside_wait(sieve->aside, -1, (int)ms_max))
		return pb_err_set(err, PB_EBUSY, "filter: its names are not "
		    "known yet");
	work = sieve->work;
	rc = work->rc;
	if (rc < 0 && err != NULL)
		*err = work->err;
	sieve->filter = work->filter;
	work->filter = NULL;
	pb_aside_leave(sieve->aside);
	sieve->aside = NULL;
	return rc;
}

int
pb_sieve_check(const char *text, unsigned ms_max, struct pb_err *err)
{
	struct pb_sieve sieve = { .filter = NULL };
	int rc = pb_sieve_make(&sieve, text, PB_LINKTYPE_ETHERNET, ms_max,
	    err);

	pb_sieve_finish(&sieve);
	return rc == PB_EINVAL ? rc : 0;
}

void
pb_sieve_finish(struct pb_sieve *sieve)
{
	pb_aside_leave(sieve->aside);
	pb_filter_destroy(sieve->filter);
	memset(sieve, 0, sizeof(*sieve));
}

static int
begin(struct pb_sieve *sieve, const char *text, uint16_t linktype,
    struct pb_err *err)
{
	struct sieve_work *work = calloc(1, sizeof(*work));

	if (work != NULL)
		work->text = strdup(text);
	if (work == NULL || work->text == NULL) {
		free(work);
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	}
	work->linktype = linktype;
	sieve->work = work;
	return pb_aside_start(&sieve->aside, compile, drop, work, true, err);
}

static void
compile(void *arg)
{
	struct sieve_work *work = arg;

	work->rc = pb_filter_create(&work->filter, work->text,
	    work->linktype, &work->err);
}

static void
drop(void *arg)
{
	struct sieve_work *work = arg;

	pb_filter_destroy(work->filter);
	free(work->text);
	free(work);
}
