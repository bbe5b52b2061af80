/*
 * recorder/retention.h - what is kept: from the configuration to the store
 */
#ifndef PB_RECORDER_RETENTION_H
#define PB_RECORDER_RETENTION_H

#include "base/err.h"
#include "base/json.h"
#include "conf/conf.h"
#include "recorder/store/write/store.h"

/* PB_EINVAL for bounds that the store's file system cannot keep. */
int	pb_retention_check(const struct pb_conf *conf, struct pb_err *err);

/* The bounds of `conf`, and whom streams are for: from now on. */
int	pb_retention_apply(struct pb_store *store,
	    const struct pb_conf *conf, struct pb_err *err);

/* The member `retention` of the status. */
void	pb_retention_json(struct pb_store *store, struct pb_json *json);

#endif
