/*
 * tests/unit/test_ingest_tls.c - who gets in by a certificate: those of
 * openssl(1), with curl(1) as the client
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/ingest_node.h"

static void
make_certificate(const struct node *n, const char *file, const char *subject)
{
	shell("cd '%s' && openssl req -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out %s.csr "
	    "-subj '%s' 2>/dev/null && printf subjectAltName=IP:127.0.0.1 "
	    ">ext && openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key "
	    "-CAcreateserial -days 2 -extfile ext -out %s.pem 2>/dev/null",
	    n->dir, file, file, subject, file, file);
}

/* The status that curl sees; `as` NULL: without a certificate. */
static int
curl_status(const struct node *n, const char *as, const char *path,
    const char *body)
{
	char cert[512] = "", data[256] = "", text[16] = "";
	char command[2048];
	FILE *out;

	if (as != NULL)
		snprintf(cert, sizeof(cert), "--cert '%s/%s.pem' --key "
		    "'%s/%s.key'", n->dir, as, n->dir, as);
	if (body != NULL)
		snprintf(data, sizeof(data), "--data-binary '@%s/%s'", n->dir,
		    body);
	snprintf(command, sizeof(command), "curl -s -m %d -o /dev/null -w "
	    "'%%{http_code}' --noproxy '*' --cacert '%s/ca.pem' %s %s "
	    "'https://127.0.0.1:%d%s'", PATIENCE_S, n->dir, cert, data,
	    n->port, path);
	out = popen(command, "r");
	assert_non_null(out);
	assert_non_null(fgets(text, sizeof(text), out));
	pclose(out);
	return atoi(text);
}

static void
with_tls_only_the_node_that_a_certificate_names_gets_in(void **state)
{
	struct node *n = *state;
	struct pb_conf_tls *tls = &n->conf.listen.tls;
	struct image *img;
	char path[PATH_MAX];
	FILE *file;

	if (system("command -v openssl >/dev/null && command -v curl "
	    ">/dev/null") != 0)
		skip();
	node_stop(n);
	shell("cd '%s' && openssl req -x509 -newkey ec "
	    "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key "
	    "-out ca.pem -days 2 -subj /CN=ca 2>/dev/null", n->dir);
	make_certificate(n, "core", "/CN=core");
	make_certificate(n, "lon1", "/CN=lon1");
	make_certificate(n, "par1", "/CN=par1");
	make_certificate(n, "two", "/CN=lon1/CN=par1");
	shell("cd '%s' && openssl req -x509 -newkey ec "
	    "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key "
	    "-out self.pem -days 2 -subj /CN=lon1 2>/dev/null", n->dir);
	img = body_image(&(struct body_opts){ .first = 1, .last = 10 });
	snprintf(path, sizeof(path), "%s/body", n->dir);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(img->data, 1, img->len, file), img->len);
	fclose(file);
	free(img);
	tls->off = false;
	snprintf(tls->cert, sizeof(tls->cert), "%s/core.pem", n->dir);
	snprintf(tls->key, sizeof(tls->key), "%s/core.key", n->dir);
	snprintf(tls->ca, sizeof(tls->ca), "%s/ca.pem", n->dir);
	strcpy(n->conf.listen.allow, "lon1, par1");
	node_start(n);
	assert_int_equal(curl_status(n, NULL, "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "self", "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "two", "/v1/health", NULL), 401);
	assert_int_equal(curl_status(n, "par1", "/v1/health", NULL), 200);
	assert_int_equal(curl_status(n, NULL, STREAM "/packets", "body"),
	    401);
	assert_int_equal(curl_status(n, "par1", STREAM "/packets", "body"),
	    403);
	assert_int_equal(curl_status(n, "lon1", STREAM "/packets", "body"),
	    200);
	node_stop(n);
	assert_int_equal(stored(n, &key, 2), 10);
}

static void
a_key_that_is_not_the_certificates_is_named_and_waited_for(void **state)
{
	struct node *n = *state;
	struct pb_conf_tls *tls;
	struct second s;

	second_init(&s, n);
	tls = &s.conf.listen.tls;
	tls->off = false;
	snprintf(s.conf.listen.address, sizeof(s.conf.listen.address),
	    "127.0.0.1:%d", free_port());
	snprintf(tls->cert, sizeof(tls->cert), "%s/none.pem", n->dir);
	assert_int_equal(pb_ingest_check(&s.conf, &s.err), PB_ENOENT);
	assert_non_null(strstr(s.err.text, "none.pem"));
	second_comes_and_goes(&s);
	shell("echo rubbish >'%s/none.pem'", n->dir);
	strcpy(tls->key, tls->cert);
	strcpy(tls->ca, tls->cert);
	assert_int_equal(pb_ingest_check(&s.conf, &s.err), PB_EINVAL);
	assert_non_null(strstr(s.err.text, "tls_cert"));
	second_comes_and_goes(&s);
	tls->off = true;
	assert_int_equal(pb_ingest_check(&s.conf, &s.err), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(with_tls_only_the_node_that_a_certificate_names_gets_in),
		TEST(
		    a_key_that_is_not_the_certificates_is_named_and_waited_for),
	};

	return cmocka_run_group_tests_name("ingest tls", tests, NULL, NULL);
}
