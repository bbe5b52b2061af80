/*
 * cli/replay/asked.h - what `pb replay` is asked for: its options
 */
#ifndef PB_CLI_REPLAY_ASKED_H
#define PB_CLI_REPLAY_ASKED_H

#include "cli/common/cli.h"
#include "cli/common/select.h"
#include "cli/common/trailing.h"
#include "cli/replay/speed.h"
#include "cli/replay/ways.h"
#include "recorder/transmit/rewrite.h"

struct pb_replay_asked {
	struct pb_select select;
	struct pb_ways	 ways;
	struct pb_rewrite rewrite;
	struct pb_speed	 speed;
	struct pb_cli_trailing trailing;
	const char	*file;		/* -r, or NULL */
	uint64_t	 loops;
	enum pb_engine	 engine;
	bool		 inner, preload, truncate, skip, no_spin, json;
	bool		 wait_down;
};

extern const struct pb_cli_option pb_replay_options[];

/* What it is where nothing is said; `init` of a struct pb_command. */
void	pb_replay_asked_init(void *asked);

/* 0, or the status of what contradicts itself, which was told; `store`: one
 * is named. */
int	pb_replay_asked_check(const struct pb_replay_asked *asked, bool store);

#endif
