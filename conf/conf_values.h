/*
 * conf/conf_values.h - what keys take; private to conf/
 *
 * A parser checks `value` by its key's row and keeps it in `field`, which has
 * the key's room: 0, or PB_EINVAL with what would be right, and the field as
 * it was.
 */
#ifndef PB_CONF_CONF_VALUES_H
#define PB_CONF_CONF_VALUES_H

#include "conf/conf_keys.h"

typedef int conf_parser(const struct pb_conf_key *key, void *field,
	    const char *value, struct pb_err *err);

extern conf_parser
	parse_interface, parse_outlet, parse_name, parse_text, parse_word,
	parse_path, parse_number, parse_size, parse_span, parse_rate,
	parse_yes_no, parse_choice, parse_flows, parse_min_free,
	parse_address, parse_url, parse_proxy, parse_compress,
	parse_schedule, parse_allow, parse_streams, parse_priority,
	parse_not_of_edge;

#endif
