/*
 * recorder/port/allow.c - who may bring what
 *
 * Limit: one item is at most PB_CONF_LIST_MAX bytes, as the list is; an
 * item that is longer matches nobody.
 */
#include "recorder/port/allow.h"

#include <string.h>

#include "base/text.h"
#include "conf/conf.h"

#define RELAY_PREFIX	"relay:"

static bool	matches(const char *, bool, const char *);

bool
pb_allow_way(const char *list, const struct pb_identity *way, const char *cn)
{
	const char *sender = way->node[way->nodes - 1].name;
	bool own = way->nodes == 1;

	/* A relay may bring what was imported there under another name. */
	if (cn != NULL) {
		own = own && strcmp(cn, sender) == 0;
		sender = cn;
	}
	return (own && matches(list, false, sender)) ||
	    matches(list, true, sender);
}

bool
pb_allow_node(const char *list, const char *node, const char *cn)
{
	if (cn == NULL)
		return matches(list, false, node) ||
		    matches(list, true, NULL);
	if (strcmp(cn, node) == 0 && matches(list, false, cn))
		return true;
	return matches(list, true, cn);
}

/*
 * True where an item of the asked kind matches `name`; NULL asks whether
 * there is an item of that kind at all.
 */
static bool
matches(const char *list, bool relay, const char *name)
{
	size_t prefix = strlen(RELAY_PREFIX), len;
	const char *item;

	while (pb_list_next(&list, &item, &len)) {
		if (len >= PB_CONF_LIST_MAX ||
		    strncmp(item, PB_CONF_PULL, strlen(PB_CONF_PULL)) == 0 ||
		    (strncmp(item, RELAY_PREFIX, prefix) == 0) != relay)
			continue;
		if (relay) {
			item += prefix;
			len -= prefix;
		}
		if (name == NULL || pb_glob_match_len(item, len, name))
			return true;
	}
	return false;
}
