/*
 * recorder/filter/filter.c - tcpdump filters over packets in memory
 *
 * The filter is compiled for a file of that link type, one without packets,
 * and run by libpcap's own interpreter, so that a query means what `tcpdump -r`
 * means: for no file libpcap would ask the kernel for a packet's direction, and
 * take this system's number of IPv6 for that of each.
 * A program that loops is run by our own machine (verdict.c), which counts:
 * protochain of libpcap 1.10.3 goes on, behind an authentication header, at
 * (length + 2) * 4 of the packet, whatever was before that header, and so
 * never ends where that is the same header again.
 * Of "ip broadcast" a file knows no network's mask: there it is what is to
 * 0.0.0.0 or 255.255.255.255.
 * Host and port names in a filter are resolved when it is compiled.
 */
#include "recorder/filter/filter.h"

#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"
#include "recorder/filter/linktype.h"

#define PCAP_MAGIC	0xa1b2c3d4u	/* draft-ietf-opsawg-pcap, 4 */
#define MASK_OF_FILES	0		/* as tcpdump -r has it */

static atomic_uint compiling;

static int	compile(struct pb_filter **, const char *, pcap_t *,
		    struct pb_err *);
static int	make_program(struct pb_filter *, const char *, pcap_t *);
static bool	has_loop(const struct bpf_program *);
static bool	match_counted(const struct pb_filter *,
		    const struct pb_packet *);
static bool	lacks_name(const char *);
static bool	lacks_mask(const char *);
static bool	blank(const char *);

int
pb_filter_create(struct pb_filter **out, const char *text, uint16_t linktype,
    struct pb_err *err)
{
	struct pcap_file_header head = { .magic = PCAP_MAGIC,
	    .version_major = PCAP_VERSION_MAJOR,
	    .version_minor = PCAP_VERSION_MINOR, .snaplen = PB_SNAPLEN,
	    .linktype = linktype };
	char why[PCAP_ERRBUF_SIZE];
	FILE *file = fmemopen(&head, sizeof(head), "r");
	pcap_t *handle = file == NULL ? NULL : pcap_fopen_offline(file, why);
	int rc;

	if (handle == NULL) {
		if (file != NULL)
			fclose(file);
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	}
	rc = compile(out, text, handle, err);
	pcap_close(handle);
	return rc;
}

int
pb_filter_create_live(struct pb_filter **out, const char *text,
    struct pcap *handle, struct pb_err *err)
{
	struct pb_filter *filter;
	int rc = compile(&filter, text, handle, err);

	if (rc < 0)
		return rc;
	rc = pb_filter_captures(filter, text, err);
	if (rc < 0)
		pb_filter_destroy(filter);
	else
		*out = filter;
	return rc;
}

static int
compile(struct pb_filter **out, const char *text, pcap_t *handle,
    struct pb_err *err)
{
	struct pb_filter *filter = calloc(1, sizeof(*filter));
	int rc = 0;

	if (filter == NULL)
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	filter->all = blank(text);
	compiling++;
	if (!filter->all)
		rc = make_program(filter, text, handle);
	compiling--;
	if (rc < 0) {
		free(filter);
		if (lacks_name(pcap_geterr(handle)))
			return pb_err_set(err, PB_ENOENT, "filter: %s",
			    pcap_geterr(handle));
		return pb_err_set(err, PB_EINVAL, "filter '%.160s': %s; see "
		    "pcap-filter(7)", text, pcap_geterr(handle));
	}
	if (!filter->all && !filter_write_first(&filter->program)) {
		pb_filter_destroy(filter);
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	}
	filter->loops = !filter->all && has_loop(&filter->program);
	*out = filter;
	return 0;
}

static int
make_program(struct pb_filter *filter, const char *text, pcap_t *handle)
{
	int rc = pcap_compile(handle, &filter->program, text, 1,
	    PCAP_NETMASK_UNKNOWN);

	if (rc == 0 || !lacks_mask(pcap_geterr(handle)))
		return rc;
	filter->wants_mask = true;
	return pcap_compile(handle, &filter->program, text, 1, MASK_OF_FILES);
}

/* Conditional jumps go forward alone. */
static bool
has_loop(const struct bpf_program *program)
{
	for (unsigned i = 0; i < program->bf_len; i++)
		if (program->bf_insns[i].code == (BPF_JMP | BPF_JA) &&
		    program->bf_insns[i].k >= program->bf_len - i - 1)
			return true;
	return false;
}

int
pb_filter_captures(const struct pb_filter *filter, const char *text,
    struct pb_err *err)
{
	if (filter->wants_mask)
		return pb_err_set(err, PB_EINVAL, "filter '%.160s': the mask "
		    "that 'ip broadcast' needs is not known; write dst host "
		    "and the address, or ether broadcast", text);
	if (!filter->loops)
		return 0;
	return pb_err_set(err, PB_EINVAL, "filter '%.160s': protochain is for "
	    "pb query alone, since one packet could keep it running for ever; "
	    "write proto, or capture without it", text);
}

int
pb_filter_install(struct pb_filter *filter, struct pcap *handle)
{
	return filter->all ? 0 : pcap_setfilter(handle, &filter->program);
}

unsigned
pb_filter_code(const struct pb_filter *filter, struct sock_filter *out)
{
	const struct bpf_program *program;

	if (filter == NULL || filter->all) {
		*out = (struct sock_filter){ .code = BPF_RET | BPF_K,
		    .k = PB_SNAPLEN };
		return 1;
	}
	program = &filter->program;
	if (program->bf_len > PB_FILTER_CODE_MAX)
		return 0;
	for (unsigned i = 0; i < program->bf_len; i++)
		out[i] = (struct sock_filter){
		    .code = program->bf_insns[i].code,
		    .jt = program->bf_insns[i].jt,
		    .jf = program->bf_insns[i].jf,
		    .k = program->bf_insns[i].k };
	return program->bf_len;
}

bool
pb_filter_compiling(void)
{
	return compiling > 0;
}

void
pb_filter_destroy(struct pb_filter *filter)
{
	if (filter == NULL)
		return;
	if (!filter->all)
		pcap_freecode(&filter->program);
	free(filter);
}

bool
pb_filter_match(const struct pb_filter *filter, const struct pb_packet *packet)
{
	struct pcap_pkthdr header = { 0 };

	if (filter->all)
		return true;
	if (filter->loops)
		return match_counted(filter, packet);
	header.caplen = packet->caplen;
	header.len = packet->origlen;
	return pcap_offline_filter(&filter->program, &header,
	    packet->data) != 0;
}

/* All of the packet is known, so the machine goes the one way that libpcap's
 * interpreter goes. */
static bool
match_counted(const struct pb_filter *filter, const struct pb_packet *packet)
{
	static uint8_t nothing[PB_CAPLEN_MAX];	/* is unknown */
	struct pb_alike one = { .ones = packet->data, .unknown = nothing,
	    .bytes = packet->caplen, .caplen_min = packet->caplen,
	    .caplen_max = packet->caplen, .len_min = packet->origlen,
	    .len_max = packet->origlen };

	return pb_filter_verdict(filter, &one) == PB_VERDICT_ALL;
}

/* gencode.c: host and network names come from the resolver, which may have
 * no answer yet; ports and protocols from files of the machine. */
static bool
lacks_name(const char *words)
{
	return strncmp(words, "unknown host ", 13) == 0 ||
	    strncmp(words, "unknown network ", 16) == 0 ||
	    strncmp(words, "unknown ether host ", 19) == 0;
}

static bool
lacks_mask(const char *words)
{
	return strncmp(words, "netmask not known", 17) == 0;
}

static bool
blank(const char *text)
{
	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	return *text == '\0';
}
