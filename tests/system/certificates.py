"""What tests of TLS share: authorities, and the certificates they issue."""

from harness import *


def openssl(*args):
    must(["openssl", *args])


class Authority:
    """A certificate authority in a folder of the test."""

    def __init__(self, t, name):
        self.base = os.path.join(t.dir, name)
        self.pem, self.key = self.base + ".pem", self.base + ".key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=" + name, "-keyout", self.key, "-out", self.pem)

    def issue(self, name):
        """Certificate and key of a node, for 127.0.0.1 as well."""
        pem = "%s-%s.pem" % (self.base, name)
        key, csr, ext = pem + ".key", pem + ".csr", pem + ".ext"
        openssl("req", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-keyout", key, "-out", csr)
        with open(ext, "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:%s\n" % name)
        openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey",
                self.key, "-CAcreateserial", "-days", "2", "-extfile", ext,
                "-out", pem)
        return pem, key


def keys(pem, key, ca):
    return "tls_cert = %s\ntls_key = %s\ntls_ca = %s\n" % (pem, key, ca)
