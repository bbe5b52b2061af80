/*
 * recorder/store/facts/pulls.h - what pullers say, from recorder to shipper
 *
 * Who pulls asks the recorder; whether it is there, and what it has, is the
 * shipper's to keep, as of any upstream.  STORE/pulls.sock (SOCK_SEQPACKET,
 * the shipper's, mode 0600) takes it: one JSON object a packet, no answers.
 *
 *	{"upstream":NAME,"wait_ms":N}	it asks, and may wait for so long
 *	{"upstream":NAME,"node":..,"interface":..,"epoch":HEX,
 *	 "first":A,"acked":B,"filtered":K}
 *					it has all up to B; first > 0: it has
 *					A to B, which came late; so many more
 *					packets its filter has left out
 *	{"upstream":..,"node":..,"interface":..,"epoch":HEX,"error":TEXT}
 *					what it is to get next cannot be read
 */
#ifndef PB_STORE_PULLS_H
#define PB_STORE_PULLS_H

#include "base/err.h"
#include "recorder/store/layout.h"

#define PB_PULLS_SOCKET		"pulls.sock"
#define PB_PULLS_BYTES_MAX	4096u	/* of one packet */
#define PB_PULLS_ERROR_MAX	256u

struct pb_pull_news {
	char		upstream[PB_NAME_BYTES_MAX + 1];
	uint64_t	wait_ms;
	struct pb_stream_key key;	/* epoch 0: it only asks */
	uint64_t	first, acked, filtered;
	char		error[PB_PULLS_ERROR_MAX];	/* "": none */
};

/* As it lies in a packet.  PB_EFORMAT and the like where it is none. */
int	pb_pulls_parse(const char *bytes, size_t len,
	    struct pb_pull_news *out, struct pb_err *err);

/* --- the recorder's side; any thread ------------------------------------- */

struct pb_pulls;

/* `store` is copied; nothing is looked at yet. */
int	pb_pulls_create(struct pb_pulls **out, const char *store,
	    struct pb_err *err);
void	pb_pulls_destroy(struct pb_pulls *pulls);	/* NULL is fine */

/* It asks, and may wait.  Told where that is news; of no consequence where
 * no shipper runs. */
void	pb_pulls_asks(struct pb_pulls *pulls, const char *upstream,
	    uint64_t wait_ms);

/* It cannot be given what it asks for, as that is damaged here.  Once a second
 * is enough. */
void	pb_pulls_stuck(struct pb_pulls *pulls, const char *upstream,
	    const struct pb_stream_key *key, const char *text);

/* It was given first .. last, without so many packets.  They are told with the
 * ack that passes them. */
void	pb_pulls_gave(struct pb_pulls *pulls, const char *upstream,
	    const struct pb_stream_key *key, uint64_t first, uint64_t last,
	    uint64_t filtered);

/*
 * Give the shipper an ack.  Never waits.  The last ack of each stream is given
 * again to a shipper that was started since, and the last ones of late packets
 * are: more than a shipper has in hand.  PB_ENOENT: none runs; PB_EBUSY: it has
 * not taken what was told before.
 */
int	pb_pulls_ack(struct pb_pulls *pulls, const struct pb_pull_news *ack,
	    struct pb_err *err);

#endif
