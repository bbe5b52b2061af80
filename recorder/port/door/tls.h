/*
 * recorder/port/door/tls.h - certificates, ours and the peer's, and ciphers
 *
 * Both sides of a link between nodes show one.  The common name of the
 * peer's certificate is the name of its node.
 */
#ifndef PB_INGEST_TLS_H
#define PB_INGEST_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"
#include "conf/conf.h"

#define PB_TLS_FILE_BYTES_MAX	(1u << 20)
/* AES-128 first: a tenth less work at either end than AES-256, which most
 * clients would choose.  Without CBC: all clients of TLS 1.2 know GCM. */
#define PB_TLS_PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
			"-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:" \
			"+CHACHA20-POLY1305:%SERVER_PRECEDENCE"

struct pb_tls {			/* PEM texts; zeroed: none */
	char	*cert;
	char	*key;
	char	*ca;
};

/* Read and check the three files.  PB_EINVAL names the one that is wrong;
 * PB_ENOENT, PB_ESYS. */
int	pb_tls_init(struct pb_tls *tls, const struct pb_conf_tls *conf,
	    struct pb_err *err);
void	pb_tls_finish(struct pb_tls *tls);	/* wipes the key */

/*
 * The common name of the peer of `session` (gnutls_session_t): true where
 * it showed a certificate for clients that the CA of the session vouches
 * for today, with exactly one common name that fits.
 */
bool	pb_tls_peer(void *session, char cn[static PB_NAME_BYTES_MAX + 1]);

#endif
