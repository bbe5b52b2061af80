/*
 * recorder/port/sifts.c - what pullers get, and when, by their sections
 */
#include "recorder/port/sifts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct one {
	char		 name[PB_NAME_BYTES_MAX + 1];
	pthread_mutex_t	 lock;
	char		 streams[PB_CONF_LIST_MAX];
	struct pb_sieves sieves;
	struct pb_shaper shaper;	/* has a lock of its own */
	/* What was wrong last, and until when that is believed. */
	struct pb_err	 err;
	uint16_t	 linktype;
	uint64_t	 again_ms;
};

struct pb_sifts {
	unsigned	 count;
	struct one	 one[];
};

static struct one *one_of(struct pb_sifts *, const char *);

int
pb_sifts_create(struct pb_sifts **out, const struct pb_conf *conf,
    struct pb_err *err)
{
	struct pb_sifts *sifts = calloc(1, sizeof(*sifts) +
	    conf->upstreams * sizeof(sifts->one[0]));

	if (sifts == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	for (size_t i = 0; i < conf->upstreams; i++) {
		struct one *one = &sifts->one[sifts->count];

		if (!pb_conf_pulled(&conf->upstream[i]))
			continue;
		strcpy(one->name, conf->upstream[i].name);
		pthread_mutex_init(&one->lock, NULL);
		pb_shaper_init(&one->shaper, &conf->upstream[i],
		    pb_clock_mono_ms());
		sifts->count++;
	}
	(void)pb_sifts_change(sifts, conf);
	*out = sifts;
	return 0;
}

void
pb_sifts_destroy(struct pb_sifts *sifts)
{
	if (sifts == NULL)
		return;
	for (unsigned i = 0; i < sifts->count; i++) {
		pb_sieves_finish(&sifts->one[i].sieves);
		pb_shaper_finish(&sifts->one[i].shaper);
		pthread_mutex_destroy(&sifts->one[i].lock);
	}
	free(sifts);
}

bool
pb_sifts_change(struct pb_sifts *sifts, const struct pb_conf *conf)
{
	bool others = false;

	for (unsigned i = 0; i < sifts->count; i++) {
		struct one *one = &sifts->one[i];
		const struct pb_conf_upstream *section =
		    pb_conf_puller(conf, one->name);

		if (section == NULL)
			continue;
		pthread_mutex_lock(&one->lock);
		others |= strcmp(one->streams, section->streams) != 0;
		strcpy(one->streams, section->streams);
		pb_sieves_set(&one->sieves, section);
		one->again_ms = 0;
		pthread_mutex_unlock(&one->lock);
		pb_shaper_change(&one->shaper, section, pb_clock_mono_ms());
	}
	return others;
}

bool
pb_sifts_offers(struct pb_sifts *sifts, const char *puller,
    const struct pb_stream_key *key)
{
	struct one *one = one_of(sifts, puller);
	char name[PB_STREAM_NAME_MAX];
	bool offers;

	if (one == NULL)
		return false;
	pthread_mutex_lock(&one->lock);
	offers = pb_glob_list_match(one->streams, pb_stream_name(name, key));
	pthread_mutex_unlock(&one->lock);
	return offers;
}

int
pb_sifts_find(struct pb_sifts *sifts, const char *puller, uint16_t linktype,
    struct pb_sift **out, struct pb_err *err)
{
	struct one *one = one_of(sifts, puller);
	struct pb_sift *sift = NULL;
	int rc;

	*out = NULL;
	if (one == NULL)
		return 0;
	pthread_mutex_lock(&one->lock);
	if (one->linktype != linktype || pb_clock_mono_ms() >= one->again_ms) {
		one->again_ms = 0;
		rc = pb_sieves_find(&one->sieves, linktype, &sift, &one->err);
		if (rc < 0 && rc != PB_EBUSY) {
			one->linktype = linktype;
			one->again_ms = pb_clock_mono_ms() +
			    PB_SIFTS_AGAIN_MS;
		}
	} else {
		rc = one->err.code;
	}
	if (rc < 0)
		*err = one->err;
	else
		*out = pb_sift_ref(sift);
	pthread_mutex_unlock(&one->lock);
	return rc;
}

void
pb_sifts_say(struct pb_sifts *sifts, const char *puller,
    struct pb_sifts_words *out)
{
	struct one *one = one_of(sifts, puller);

	*out = (struct pb_sifts_words){ .snaplen = PB_CAPLEN_MAX };
	if (one == NULL)
		return;
	pthread_mutex_lock(&one->lock);
	strcpy(out->filter, one->sieves.filter);
	if (one->sieves.snaplen != 0)
		out->snaplen = one->sieves.snaplen;
	pthread_mutex_unlock(&one->lock);
}

struct pb_shaper *
pb_sifts_shaper(struct pb_sifts *sifts, const char *puller)
{
	struct one *one = one_of(sifts, puller);

	return one != NULL ? &one->shaper : NULL;
}

int
pb_sifts_tick(struct pb_sifts *sifts, uint64_t now_ms)
{
	int least = -1;

	for (unsigned i = 0; i < sifts->count; i++) {
		int wait = pb_shaper_tick(&sifts->one[i].shaper, now_ms);

		if (wait >= 0 && (least < 0 || wait < least))
			least = wait;
	}
	return least;
}

static struct one *
one_of(struct pb_sifts *sifts, const char *puller)
{
	for (unsigned i = 0; i < sifts->count; i++)
		if (strcmp(sifts->one[i].name, puller) == 0)
			return &sifts->one[i];
	return NULL;
}
