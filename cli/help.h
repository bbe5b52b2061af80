/*
 * cli/help.h - the help of each command, as `pb COMMAND --help` prints it
 *
 * Only words; main.c includes it.  docs/man/pb.1 says the same at length.
 */
#ifndef PB_CLI_HELP_H
#define PB_CLI_HELP_H

#define PB_HELP_STATUS \
"  --json           one JSON object\n"

#define PB_HELP_STREAMS \
"  --stream GLOB    only streams whose node/interface matches\n" \
"  --json           one JSON object a line\n"

#define PB_HELP_SEGMENTS \
"  --stream GLOB    only streams whose node/interface matches\n" \
"  --json           one JSON object a line\n" \
"\n" \
"Each path is a pcapng file that Wireshark and tcpdump open, the one that\n" \
"is being written (not sealed) included.\n"

#define PB_HELP_VERIFY \
"  --repair         keep every whole block, set the rest aside in damaged/,\n" \
"                   make the index right; the recorder must be stopped\n" \
"  --stream GLOB    only streams whose node/interface matches\n" \
"  --json           one JSON object a line, a summary last\n" \
"\n" \
"Reads every segment, every journal and the index, and compares all of\n" \
"them with each other and with their digests.  It may run beside the\n" \
"recorder.  The exit status is 1 where something was found.\n"

#define PB_HELP_REINDEX \
"  --json           the result as one JSON object\n" \
"\n" \
"For an index that is lost or corrupt.  The recorder must be stopped (it\n" \
"does the same by itself when it starts without a good index).  The old\n" \
"one goes to damaged/ in the store.\n"

#define PB_HELP_GAPS \
"  --stream GLOB    only streams whose node/interface matches\n" \
"  --json           one JSON object a line\n" \
"\n" \
"A gap is a run of sequence numbers that this store does not have, with\n" \
"its reason: dead-lettered (given up on the way here), expired (deleted by\n" \
"retention), damaged (unreadable).  It is closed when the packets come\n" \
"later.\n"

#define PB_HELP_DLQ \
"  list             a row a letter\n" \
"  show             all about each letter, and where its file is\n" \
"  requeue          send them again\n" \
"  purge            delete them; the upstream is told that they expired\n" \
"  move             give those of an upstream that is configured no more to\n" \
"                   another one\n" \
"\n" \
"  --upstream GLOB  only those of upstreams whose name matches\n" \
"  --stream GLOB    only streams whose node/interface matches\n" \
"  --first N        only those that begin with sequence number N\n" \
"  --to NAME        move: the upstream that gets them\n" \
"  --all            requeue, purge, move: every one; list, show: those\n" \
"                   without a file too (late: came late and will be sent;\n" \
"                   gone: the upstream is still to be told)\n" \
"  --json           one JSON object a line\n" \
"\n" \
"A dead letter is a run of packets that an upstream did not take: it made\n" \
"no progress for retry_for (stale), or said that they are malformed.  Where\n" \
"requeue = auto the first go again by themselves: column NEXT.\n" \
"They are kept as hard links of their segments, which are pcapng files.\n"

#define PB_HELP_INTERFACES \
"  --json           one JSON object a line\n"

#define PB_HELP_QUERY \
"FILTER is a tcpdump filter (pcap-filter(7)), quoted or not; options and\n" \
"its words can be mixed, and -- ends the options.\n" \
"\n" \
"What to select:\n" \
"  --stream GLOB    streams whose node/interface matches; can be repeated\n" \
"  --after T        packets of that time or later: RFC 3339, seconds since\n" \
"  --before T       1970, or -5m for five minutes ago; packets before T\n" \
"  --seq A-B        sequence numbers, both included; also A- and A\n" \
"  --limit N        the first N of what the filter finds\n" \
"\n" \
"What to do with it (default: a line a packet):\n" \
"  -w FILE          write a pcapng file, `-` for standard output; FILE\n" \
"                   appears when it is complete\n" \
"  --count          print their number\n" \
"  --json           one JSON object a line\n" \
"  --comments       with -w: each packet's way as packet comments, which\n" \
"                   Wireshark shows and filters (frame.comment)\n" \
"  --follow         go on with what comes, until interrupted; a pcapng\n" \
"                   FILE is then written in place\n" \
"\n" \
"Packets come in the order of their times across streams; where times are\n" \
"equal, by stream, then by sequence number.  Within a stream, times that\n" \
"run backwards by up to 10 ms and 8192 packets (fewer where large packets\n" \
"or many streams fill the memory for it) are put in order; packets that\n" \
"come later than that stay where they are met.  A packet without a time\n" \
"stamp stays behind the one before it.  With --follow, order across streams\n" \
"holds within what becomes durable at the same time.\n"

#define PB_HELP_IMPORT \
"Takes pcap and pcapng files of any link type, resolution and byte order,\n" \
"several interfaces and sections included; `-` is standard input.  Each\n" \
"interface with packets becomes a stream of its own.  All files are checked\n" \
"first: if one is malformed, nothing is imported.  The packets are durable\n" \
"when the command ends.  Where a recorder runs on the store they go in\n" \
"through it; else pb writes the store, and makes it if it is not there.\n" \
"\n" \
"  --node NAME      the node they come from; default: this one\n" \
"  --interface NAME the interface's name (the next ones are NAME.1, ...);\n" \
"                   default: as the file has it, the file's name for pcap\n" \
"  --secrets        keep Decryption Secrets Blocks (TLS keys)\n" \
"  --json           one JSON object a stream\n" \
"\n" \
"Options of sections, interfaces and packets are kept, but for a packet's\n" \
"epb_packetid, which becomes its sequence number, and hop records of an\n" \
"earlier journey.  Custom Blocks, and big-endian blocks of unknown types,\n" \
"are left out, and pb says so.\n"

#endif
