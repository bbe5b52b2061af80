/*
 * recorder/store/facts/told.h - what the shipper tells of its upstreams
 *
 * The recorder answers GET /metrics for both programs, so it asks the shipper,
 * at STORE/shipper.sock (SOCK_SEQPACKET, the shipper's, mode 0600):
 *
 *	{"do":"metrics"}	-> {"bytes":N}, and with it (SCM_RIGHTS) a file
 *				that begins with so many bytes of Prometheus
 *				text; or {"error":TEXT}
 *
 * A file, as a packet has no room for a thousand edges: of memory alone
 * (memfd_create(2)).
 */
#ifndef PB_STORE_TOLD_H
#define PB_STORE_TOLD_H

#include "base/buf.h"
#include "base/err.h"

#define PB_SHIPPER_SOCKET	"shipper.sock"
#define PB_TOLD_VERB		"metrics"
#define PB_TOLD_BYTES_MAX	(8u << 20)	/* of the text */
/* It is waited for, to let us in, and to answer; after that it is left alone
 * for a while. */
#define PB_TOLD_MS		1000u
#define PB_TOLD_AGAIN_MS	5000u

/*
 * Append to `out`, which takes PB_TOLD_BYTES_MAX.  PB_ENOENT: no shipper runs
 * on `store`; PB_EBUSY: it does not answer; or another error.
 */
int	pb_told_ask(const char *store, struct pb_buf *out,
	    struct pb_err *err);

#endif
