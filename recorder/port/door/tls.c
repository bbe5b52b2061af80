/*
 * recorder/port/door/tls.c - certificates: ours, and the peer's
 */
#include "recorder/port/door/tls.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

static int	read_text(const char *, const char *, char **,
		    struct pb_err *);
static int	check(const struct pb_tls *, const struct pb_conf_tls *,
		    struct pb_err *);
static bool	common_name(const gnutls_datum_t *,
		    char [static PB_NAME_BYTES_MAX + 1]);

int
pb_tls_init(struct pb_tls *tls, const struct pb_conf_tls *conf,
    struct pb_err *err)
{
	int rc;

	memset(tls, 0, sizeof(*tls));
	rc = read_text("tls_cert", conf->cert, &tls->cert, err);
	if (rc == 0)
		rc = read_text("tls_key", conf->key, &tls->key, err);
	if (rc == 0)
		rc = read_text("tls_ca", conf->ca, &tls->ca, err);
	if (rc == 0)
		rc = check(tls, conf, err);
	if (rc < 0)
		pb_tls_finish(tls);
	return rc;
}

void
pb_tls_finish(struct pb_tls *tls)
{
	if (tls == NULL)
		return;
	if (tls->key != NULL)
		explicit_bzero(tls->key, strlen(tls->key));
	free(tls->cert);
	free(tls->key);
	free(tls->ca);
	memset(tls, 0, sizeof(*tls));
}

bool
pb_tls_peer(void *session, char cn[static PB_NAME_BYTES_MAX + 1])
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	const gnutls_datum_t *chain;
	unsigned status = 0, count = 0;

	if (gnutls_certificate_type_get(session) != GNUTLS_CRT_X509 ||
	    gnutls_certificate_verify_peers(session, &purpose, 1,
	    &status) < 0 || status != 0)
		return false;
	chain = gnutls_certificate_get_peers(session, &count);
	return chain != NULL && count > 0 && common_name(&chain[0], cn);
}

static int
read_text(const char *what, const char *path, char **out, struct pb_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return pb_err_sys(err, "[listen] %s: open %s", what, path);
	if (fstat(fd, &st) < 0)
		rc = pb_err_sys(err, "[listen] %s: look at %s", what, path);
	else if (!S_ISREG(st.st_mode) || st.st_size > PB_TLS_FILE_BYTES_MAX)
		rc = pb_err_set(err, PB_EINVAL, "[listen] %s: %s is no PEM "
		    "file", what, path);
	if (rc < 0)
		goto out;
	*out = calloc(1, (size_t)st.st_size + 1);
	if (*out == NULL) {
		rc = pb_err_set(err, PB_ENOMEM, "no memory");
		goto out;
	}
	got = pb_pread_all(fd, *out, (size_t)st.st_size, 0, err);
	if (got < 0)
		rc = (int)got;
out:
	close(fd);
	return rc;
}

/* The HTTP library would only say that it does not start. */
static int
check(const struct pb_tls *tls, const struct pb_conf_tls *conf,
    struct pb_err *err)
{
	gnutls_datum_t cert = { (unsigned char *)tls->cert,
	    (unsigned)strlen(tls->cert) };
	gnutls_datum_t key = { (unsigned char *)tls->key,
	    (unsigned)strlen(tls->key) };
	gnutls_datum_t ca = { (unsigned char *)tls->ca,
	    (unsigned)strlen(tls->ca) };
	gnutls_certificate_credentials_t cred;
	int rc, said;

	if (gnutls_certificate_allocate_credentials(&cred) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	said = gnutls_certificate_set_x509_key_mem(cred, &cert, &key,
	    GNUTLS_X509_FMT_PEM);
	rc = said >= 0 ? 0 : pb_err_set(err, PB_EINVAL, "[listen] tls_cert "
	    "%s and tls_key %s: %s", conf->cert, conf->key,
	    gnutls_strerror(said));
	if (rc == 0) {
		said = gnutls_certificate_set_x509_trust_mem(cred, &ca,
		    GNUTLS_X509_FMT_PEM);
		if (said <= 0)
			rc = pb_err_set(err, PB_EINVAL, "[listen] tls_ca %s: "
			    "%s", conf->ca, said < 0 ? gnutls_strerror(said) :
			    "no certificate in it");
	}
	gnutls_certificate_free_credentials(cred);
	return rc;
}

static bool
common_name(const gnutls_datum_t *der,
    char cn[static PB_NAME_BYTES_MAX + 1])
{
	char second[PB_NAME_BYTES_MAX + 1];
	size_t size = PB_NAME_BYTES_MAX + 1, second_size = sizeof(second);
	gnutls_x509_crt_t crt;
	bool ok;

	if (gnutls_x509_crt_init(&crt) < 0)
		return false;
	/* A second name would be a second identity, a NUL a hidden one. */
	ok = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0 &&
	    gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
	    0, cn, &size) >= 0 && strlen(cn) == size &&
	    gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1,
	    0, second, &second_size) == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
	gnutls_x509_crt_deinit(crt);
	return ok;
}
