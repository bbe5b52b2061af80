/*
 * recorder/sift/sieves.c - what an upstream gets of packets, by their link type
 */
#include "recorder/sift/sieves.h"

#include <string.h>

/* Without names it takes less; with some that are not known nobody waits. */
#define COMPILE_MS	20u

static struct pb_sieves_one *one_for(struct pb_sieves *, uint16_t);

void
pb_sieves_set(struct pb_sieves *sieves, const struct pb_conf_upstream *conf)
{
	if (strcmp(sieves->filter, conf->filter) == 0 &&
	    sieves->snaplen == conf->snaplen)
		return;
	pb_sieves_finish(sieves);
	strcpy(sieves->filter, conf->filter);
	sieves->snaplen = conf->snaplen;
	/* Who pulls names a fork by it (shipper/pull/). */
	sieves->first_apart = pb_conf_pulled(conf);
}

void
pb_sieves_finish(struct pb_sieves *sieves)
{
	for (unsigned i = 0; i < sieves->count; i++) {
		pb_sieve_finish(&sieves->one[i].sieve);
		pb_sift_unref(sieves->one[i].sift);
	}
	memset(sieves, 0, sizeof(*sieves));
}

int
pb_sieves_find(struct pb_sieves *sieves, uint16_t linktype,
    struct pb_sift **out, struct pb_err *err)
{
	struct pb_sieves_one *one;
	int rc = 0;

	*out = NULL;
	if (sieves->filter[0] == '\0' && (sieves->snaplen == 0 ||
	    sieves->snaplen >= PB_CAPLEN_MAX))
		return 0;
	one = one_for(sieves, linktype);
	if (one == NULL)
		return pb_err_set(err, PB_ELIMIT, "filter: packets of more "
		    "than %u link types", PB_SIEVES_MAX);
	if (one->sift == NULL)
		rc = pb_sieve_make(&one->sieve, sieves->filter, linktype,
		    COMPILE_MS, err);
	if (rc < 0)
		return rc;
	if (one->sift == NULL) {
		one->sift = pb_sift_create(one->sieve.filter,
		    sieves->snaplen != 0 ? sieves->snaplen : PB_CAPLEN_MAX);
		if (one->sift == NULL)
			return pb_err_set(err, PB_ENOMEM, "no memory");
		one->sift->first_apart = sieves->first_apart;
		one->sieve.filter = NULL;
	}
	*out = one->sift;
	return 0;
}

static struct pb_sieves_one *
one_for(struct pb_sieves *sieves, uint16_t linktype)
{
	for (unsigned i = 0; i < sieves->count; i++)
		if (sieves->one[i].linktype == linktype)
			return &sieves->one[i];
	if (sieves->count == PB_SIEVES_MAX)
		return NULL;
	sieves->one[sieves->count].linktype = linktype;
	return &sieves->one[sieves->count++];
}
